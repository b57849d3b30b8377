/* Running queries that may write guarded tables: see watched_query.hpp. */
#include "pg.hpp"

#include "clock.hpp"
#include "watched_query.hpp"

namespace occ {

namespace {

ExecutorStart_hook_type previous_start = nullptr;

/* Those that are running, innermost first. */
WatchedQuery *all_watched = nullptr;

extern "C" void
occ_watched_query_is_gone(void *argument)
{
    for (WatchedQuery **link = &all_watched; *link != nullptr; link = &(*link)->next) {
        if (*link == argument) {
            *link = (*link)->next;
            break;
        }
    }
}

bool
fires_before_update(const ResultRelInfo &relation)
{
    return relation.ri_TrigDesc != nullptr && relation.ri_TrigDesc->trig_update_before_row;
}

/* Can a statement update rows, its CTEs included? */
bool
can_update(const PlannedStmt *statement)
{
    if (statement->hasModifyingCTE || statement->commandType == CMD_UPDATE ||
        pg::is_merge(statement))
        return true;
    return statement->commandType == CMD_INSERT && IsA(statement->planTree, ModifyTable) &&
           reinterpret_cast<const ModifyTable *>(statement->planTree)->onConflictAction ==
               ONCONFLICT_UPDATE;
}

/* Does a query that has started write to a table whose updates fire a trigger first? */
bool
may_update_guarded(const QueryDesc *query)
{
    ListCell *cell;

    if (!can_update(query->plannedstmt))
        return false;
    foreach (cell, query->estate->es_opened_result_relations) {
        if (fires_before_update(*static_cast<ResultRelInfo *>(lfirst(cell))))
            return true;
    }
    return false;
}

void
watch(QueryDesc *query)
{
    MemoryContext context = query->estate->es_query_cxt;
    auto *watched =
        static_cast<WatchedQuery *>(MemoryContextAllocZero(context, sizeof(WatchedQuery)));

    watched->context = context;
    watched->query = query;
    watched->on_reset.func = occ_watched_query_is_gone;
    watched->on_reset.arg = watched;
    MemoryContextRegisterResetCallback(context, &watched->on_reset);
    watched->next = all_watched;
    all_watched = watched;
}

extern "C" void
occ_executor_start(QueryDesc *query, int flags)
{
    note_query();
    if (previous_start != nullptr)
        previous_start(query, flags);
    else
        standard_ExecutorStart(query, flags);
    if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && may_update_guarded(query))
        watch(query);
}

}  // namespace

void
watch_queries()
{
    previous_start = ExecutorStart_hook;
    ExecutorStart_hook = occ_executor_start;
}

WatchedQuery *
find_watched_query(MemoryContext context)
{
    for (WatchedQuery *watched = all_watched; watched != nullptr; watched = watched->next) {
        if (watched->context == context)
            return watched;
    }
    return nullptr;
}

}  // namespace occ
