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
    MemoryContext context;
    MemoryContextCallback on_reset;
};

/* Mark the running query; its es_query_cxt is the current memory context. */
void mark_checked_query(CheckedQuery::Kind kind);

/* How the query with that es_query_cxt is marked. */
CheckedQuery::Kind checked_query(MemoryContext query_context);

}  // namespace occ

#endif
