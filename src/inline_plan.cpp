/*
 * Puts the check of the version into the plan of an UPDATE: see
 * inline_plan.hpp.
 *
 * The SET list gets "version = occ.next_version(...)", which does at run time
 * what the trigger would: next_version.cpp.  That function alone decides
 * whether the trigger is spared; a plan that calls it is right with the
 * trigger as well.  So a plan may outlive the settings and the role that it
 * was made under, and what ALTER TABLE changes invalidates it by itself.
 */
#include "pg.hpp"

#include "inlinable.hpp"
#include "inline_plan.hpp"
#include "mark_naming.hpp"
#include "settings.hpp"
#include "version_call.hpp"

namespace occ {

namespace {

planner_hook_type previous_planner = nullptr;

/* An UPDATE of a guarded table. */
struct GuardedUpdate {
    VersionColumn version;
    bool named; /* the SET list names the version column */
    Oid next_version;
};

/* Can the guard of an UPDATE's table be inlined into this very UPDATE? */
bool
is_inlinable(const Query *query, GuardedUpdate *update)
{
    RangeTblEntry *entry = written_table(query);
    InlinableGuard guard;

    if (entry->rtekind != RTE_RELATION)
        return false;
    Relation relation = table_open(entry->relid, NoLock); /* whoever plans has locked it */
    const bool inlinable = find_inlinable_guard(relation, relation->trigdesc, &guard);
    const Oid guard_function = inlinable ? guard.trigger->tgfoid : InvalidOid;
    table_close(relation, NoLock);
    if (!inlinable)
        return false;

    update->version = guard.version;
    update->named = set_entry(query->targetList, guard.version.attnum) != nullptr;
    /* The trigger goes by what the statement is said to set; both must agree. */
    if (update->named != bms_is_member(guard.version.attnum - FirstLowInvalidHeapAttributeNumber,
                                       pg::columns_set(query, entry)))
        return false;
    if (!update->named && refuses_unstated(guard.policy))
        return false;
    update->next_version = find_next_version(guard_function, update->named);
    return OidIsValid(update->next_version);
}

/* The UPDATEs that no mark says anything about. */
List *
unmarked_updates(const List *writes, const List *marked)
{
    List *updates = NIL;
    const ListCell *cell;

    foreach (cell, writes) {
        auto *query = static_cast<Query *>(lfirst(cell));
        if (query->commandType == CMD_UPDATE && !list_member_ptr(marked, query))
            updates = lappend(updates, query);
    }
    return updates;
}

/*
 * Inline what can be inlined: no UPDATE of a table that another one updates as
 * well, since at run time one could not tell the two apart.  Returns whether
 * everybody may execute the plan.
 */
bool
inline_guards(const List *updates)
{
    bool for_everybody = true;
    const ListCell *cell;

    foreach (cell, updates) {
        auto *query = static_cast<Query *>(lfirst(cell));
        GuardedUpdate update;
        if (is_written_elsewhere(updates, query) || !is_inlinable(query, &update))
            continue;
        put_version_call(query, &query->targetList, update.version, update.next_version,
                         update.named);
        for_everybody = for_everybody && is_for_everybody(update.next_version);
    }
    return for_everybody;
}

extern "C" PlannedStmt *
occ_planner(Query *query, const char *source, int options, ParamListInfo parameters)
{
    const List *writes = writes_of(query);
    List *marked = NIL;
    bool for_everybody = mark_naming(writes, &marked);

    if (settings::inline_guards)
        for_everybody = inline_guards(unmarked_updates(writes, marked)) && for_everybody;
    PlannedStmt *plan = previous_planner != nullptr
                            ? previous_planner(query, source, options, parameters)
                            : standard_planner(query, source, options, parameters);

    if (!for_everybody)
        plan->dependsOnRole = true;
    return plan;
}

}  // namespace

void
inline_guards_into_plans()
{
    previous_planner = planner_hook;
    planner_hook = occ_planner;
}

}  // namespace occ
