/*
 * Calls of occ.next_version() in the SET lists of a statement that is being
 * planned.
 */
#ifndef OCC_VERSION_CALL_HPP
#define OCC_VERSION_CALL_HPP

#include "pg.hpp"
#include "relation.hpp"

namespace occ {

/*
 * The statements that write in a query tree: its own, and those in its CTEs,
 * also where rules have put one CTE into another.
 */
List *writes_of(Query *statement);

/* The table that a statement writes. */
inline RangeTblEntry *
written_table(const Query *query)
{
    return rt_fetch(query->resultRelation, query->rtable);
}

/* Is the table of a statement written by another one of them, too? */
bool is_written_elsewhere(const List *writes, const Query *query);

/* The entry of a SET list for a column, or null. */
TargetEntry *set_entry(const List *set_list, AttrNumber attnum);

/*
 * occ.next_version(internal, regclass, stored [, stated]) beside the guard, if
 * it is ours and the current user may execute it, else InvalidOid.
 */
Oid find_next_version(Oid guard, bool states);

/* May everybody execute it?  If not, a plan that calls it is no good for another role. */
bool is_for_everybody(Oid next_version);

/*
 * Let a SET list of a statement compute the version by that function, whose
 * last argument is what the list has set.  Without states, that stands for the
 * stored version: it is what is written if no trigger judges the row after all.
 */
void put_version_call(const Query *query, List **set_list, const VersionColumn &version,
                      Oid next_version, bool states);

}  // namespace occ

#endif
