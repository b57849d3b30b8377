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
#include "settings.hpp"

extern "C" Datum occ_next_version(PG_FUNCTION_ARGS);

namespace occ {

namespace {

planner_hook_type previous_planner = nullptr;

/* An UPDATE of a guarded table. */
struct GuardedUpdate {
    Query *query;
    Oid relid;
    VersionColumn version;
    bool named; /* the SET list names the version column */
    Oid function;
};

/* occ.next_version(internal, regclass, stored [, stated]) beside the guard, or InvalidOid. */
Oid
find_next_version(Oid guard, bool named)
{
    const Oid types[] = {INTERNALOID, REGCLASSOID, ANYELEMENTOID, ANYELEMENTOID};
    const oidvector *arguments = buildoidvector(types, named ? 4 : 3);
    const Oid function =
        GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("next_version"),
                        PointerGetDatum(arguments), ObjectIdGetDatum(get_func_namespace(guard)));

    return OidIsValid(function) &&
                   is_our_function(function, "occ_next_version", occ_next_version) &&
                   pg::may_execute(function, GetUserId())
               ? function
               : InvalidOid;
}

/* The entry of the SET list for a column, or null. */
TargetEntry *
set_entry(const Query *query, AttrNumber attnum)
{
    ListCell *cell;

    foreach (cell, query->targetList) {
        auto *entry = static_cast<TargetEntry *>(lfirst(cell));
        if (!entry->resjunk && entry->resno == attnum)
            return entry;
    }
    return nullptr;
}

/* Can the guard of an UPDATE's table be inlined into this very UPDATE? */
bool
is_inlinable(Query *query, GuardedUpdate *update)
{
    auto *entry = rt_fetch(query->resultRelation, query->rtable);
    InlinableGuard guard;

    if (entry->rtekind != RTE_RELATION)
        return false;
    Relation relation = table_open(entry->relid, NoLock); /* whoever plans has locked it */
    const bool inlinable = find_inlinable_guard(relation, relation->trigdesc, &guard);
    const Oid guard_function = inlinable ? guard.trigger->tgfoid : InvalidOid;
    table_close(relation, NoLock);
    if (!inlinable)
        return false;

    update->query = query;
    update->relid = entry->relid;
    update->version = guard.version;
    update->named = set_entry(query, guard.version.attnum) != nullptr;
    /* The trigger goes by what the statement is said to set; both must agree. */
    if (update->named != bms_is_member(guard.version.attnum - FirstLowInvalidHeapAttributeNumber,
                                       pg::columns_set(query, entry)))
        return false;
    if (!update->named && guard.policy.unstated != Unstated::bump &&
        guard.policy.unstated != Unstated::keep)
        return false;
    update->function = find_next_version(guard_function, update->named);
    return OidIsValid(update->function);
}

/* The UPDATEs of a statement: its own, and those in its CTEs. */
List *
updates_of(Query *statement)
{
    List *updates = NIL;
    ListCell *cell;

    if (statement->commandType == CMD_UPDATE)
        updates = lappend(updates, statement);
    if (statement->hasModifyingCTE) {
        foreach (cell, statement->cteList) {
            auto *query = castNode(Query, castNode(CommonTableExpr, lfirst(cell))->ctequery);
            if (query->commandType == CMD_UPDATE)
                updates = lappend(updates, query);
        }
    }
    return updates;
}

/* Does a statement update a table twice?  At run time one could not tell the two apart. */
bool
names_a_table_twice(List *updates)
{
    List *relids = NIL;
    ListCell *cell;

    foreach (cell, updates) {
        const auto *query = static_cast<Query *>(lfirst(cell));
        const Oid relid = rt_fetch(query->resultRelation, query->rtable)->relid;
        if (list_member_oid(relids, relid))
            return true;
        relids = lappend_oid(relids, relid);
    }
    return false;
}

/* Let the SET list compute the version. */
void
inline_guard(const GuardedUpdate &update)
{
    const VersionColumn &version = update.version;
    Query *query = update.query;
    auto *stored = reinterpret_cast<Expr *>(makeVar(query->resultRelation, version.attnum,
                                                    version.type, version.typmod, InvalidOid, 0));
    auto *marker = makeNullConst(INTERNALOID, -1, InvalidOid);
    auto *table = makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
                            ObjectIdGetDatum(update.relid), false, true);
    List *arguments = list_make3(marker, table, stored);
    TargetEntry *entry = set_entry(query, version.attnum);

    if (entry != nullptr)
        arguments = lappend(arguments, entry->expr);
    auto *next = reinterpret_cast<Expr *>(makeFuncExpr(
        update.function, version.type, arguments, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
    if (entry != nullptr) {
        entry->expr = next;
        return;
    }

    /* The planner wants what is not stored to stand last. */
    int position = 0;
    while (position < list_length(query->targetList) &&
           !static_cast<TargetEntry *>(list_nth(query->targetList, position))->resjunk)
        position++;
    query->targetList =
        list_insert_nth(query->targetList, position,
                        makeTargetEntry(next, version.attnum,
                                        get_attname(update.relid, version.attnum, false), false));
}

/*
 * Inline what can be inlined.  Returns whether everybody may execute the plan:
 * if not, it is no good for another role.
 */
bool
inline_guards(Query *statement)
{
    List *updates = updates_of(statement);
    bool for_everybody = true;
    ListCell *cell;

    if (names_a_table_twice(updates))
        return true;
    foreach (cell, updates) {
        GuardedUpdate update;
        if (!is_inlinable(static_cast<Query *>(lfirst(cell)), &update))
            continue;
        inline_guard(update);
        for_everybody = for_everybody && pg::may_execute(update.function, ACL_ID_PUBLIC);
    }
    return for_everybody;
}

extern "C" PlannedStmt *
occ_planner(Query *query, const char *source, int options, ParamListInfo parameters)
{
    const bool for_everybody = !settings::inline_guards || inline_guards(query);
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
