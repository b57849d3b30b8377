/*
 * Running queries that may write guarded tables, found by their es_query_cxt:
 * that is what an expression and a trigger know of the query that they run in.
 */
#ifndef OCC_WATCHED_QUERY_HPP
#define OCC_WATCHED_QUERY_HPP

#include "pg.hpp"

namespace occ {

struct InlinedUpdate;
struct NamingMark;

/* Lives in the memory of its query, and is forgotten with it. */
struct WatchedQuery {
    WatchedQuery *next;
    MemoryContext context; /* the query's es_query_cxt */
    QueryDesc *query;
    InlinedUpdate *updates; /* see inline_query.hpp */
    NamingMark *marks;      /* see naming.hpp */
    MemoryContextCallback on_reset;
};

/* Install the executor hook; called once, at load. */
void watch_queries();

/* The query with that es_query_cxt, or null if we don't watch it: it may have started before. */
WatchedQuery *find_watched_query(MemoryContext context);

/* Call action with the state of every ModifyTable of a query, once each. */
template <class Action>
void
for_each_modify_table(const QueryDesc *query, const Action &action)
{
    const PlanState *top = query->planstate;
    const ListCell *cell;

    if (top != nullptr && IsA(top, ModifyTableState))
        action(reinterpret_cast<const ModifyTableState *>(top));
    foreach (cell, query->estate->es_auxmodifytables) {
        const auto *plan = static_cast<const PlanState *>(lfirst(cell));
        if (plan != top && IsA(plan, ModifyTableState))
            action(reinterpret_cast<const ModifyTableState *>(plan));
    }
}

/* The table that a ModifyTable names. */
inline Oid
named_table_of(const ModifyTableState *state)
{
    return RelationGetRelid(state->rootResultRelInfo->ri_RelationDesc);
}

}  // namespace occ

#endif
