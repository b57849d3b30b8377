/*
 * The queries by which occ_lock itself writes rows that it has locked and
 * verified.  The guard knows them by their es_query_cxt, which no caller can
 * lay hands on: there is no setting that says "trust me".
 */
#ifndef OCC_CHECKED_QUERY_HPP
#define OCC_CHECKED_QUERY_HPP

#include "pg.hpp"

namespace occ {

/* Lives in the memory of the query that it marks, and is forgotten with it. */
struct CheckedQuery {
    enum class Kind : std::uint8_t {
        none,
        write, /* rows were verified; the version is to advance */
        touch, /* likewise, even though nothing else changes */
    };

    CheckedQuery *next;
    Kind kind;
    Oid relid;               /* the table whose rows were verified */
    NameData version_column; /* by this column */
    MemoryContext context;
    MemoryContextCallback on_reset;
};

/* What a query is to be marked with, once it runs. */
struct CheckedMark {
    CheckedQuery::Kind kind;
    Oid relid;
    NameData version_column;
};

/* Mark the running query; its es_query_cxt is the current memory context. */
void mark_checked_query(const CheckedMark &mark);

/*
 * How the query with that es_query_cxt is marked for a table: a mark holds for
 * the table that was named, its partitions and its children, but not for what
 * a rule makes of the query, nor for a child that keeps its version elsewhere.
 */
CheckedQuery::Kind checked_query(MemoryContext query_context, Relation relation,
                                 const NameData &version_column);

}  // namespace occ

#endif
