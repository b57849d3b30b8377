/* UPDATEs that run with the check in their plan: see inline_query.hpp. */
#include "pg.hpp"

#include "checked_query.hpp"
#include "inline_query.hpp"
#include "settings.hpp"
#include "version_types.hpp"

namespace occ {

namespace {

/* A query that may have inlined UPDATEs. */
struct InlinedQuery {
    InlinedQuery *next;
    MemoryContext context; /* its es_query_cxt, which this lives in */
    QueryDesc *query;
    InlinedUpdate *updates; /* those that have computed a row */
    MemoryContextCallback on_reset;
};

ExecutorStart_hook_type previous_start = nullptr;

/* Those that are running, innermost first. */
InlinedQuery *all_queries = nullptr;

extern "C" void
occ_inlined_query_is_gone(void *argument)
{
    for (InlinedQuery **link = &all_queries; *link != nullptr; link = &(*link)->next) {
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

/* Does a query that has started write to a table whose updates fire a trigger first? */
bool
may_be_inlined(const QueryDesc *query)
{
    ListCell *cell;

    if (query->plannedstmt->commandType != CMD_UPDATE && !query->plannedstmt->hasModifyingCTE)
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
    auto *inlined =
        static_cast<InlinedQuery *>(MemoryContextAllocZero(context, sizeof(InlinedQuery)));

    inlined->context = context;
    inlined->query = query;
    inlined->on_reset.func = occ_inlined_query_is_gone;
    inlined->on_reset.arg = inlined;
    MemoryContextRegisterResetCallback(context, &inlined->on_reset);
    inlined->next = all_queries;
    all_queries = inlined;
}

extern "C" void
occ_executor_start(QueryDesc *query, int flags)
{
    if (previous_start != nullptr)
        previous_start(query, flags);
    else
        standard_ExecutorStart(query, flags);
    if ((flags & EXEC_FLAG_EXPLAIN_ONLY) == 0 && may_be_inlined(query))
        watch(query);
}

/*
 * The running UPDATE of a table in a query, or null if there are several: the
 * planner leaves those alone that it sees, but what a rule makes of a CTE can
 * have CTEs of its own.
 */
ModifyTableState *
find_update(const QueryDesc *query, Oid relid)
{
    ModifyTableState *found = nullptr;
    bool several = false;
    ListCell *cell;

    const auto consider = [&](PlanState *plan) {
        if (!IsA(plan, ModifyTableState))
            return;
        auto *state = reinterpret_cast<ModifyTableState *>(plan);
        if (state->operation != CMD_UPDATE ||
            RelationGetRelid(state->rootResultRelInfo->ri_RelationDesc) != relid)
            return;
        several = several || (found != nullptr && found != state); /* the top one stands twice */
        found = state;
    };
    consider(query->planstate);
    foreach (cell, query->estate->es_auxmodifytables)
        consider(static_cast<PlanState *>(lfirst(cell)));
    return several ? nullptr : found;
}

const NameData &
version_name(Relation relation, const InlinableGuard &guard)
{
    return TupleDescAttr(RelationGetDescr(relation), guard.version.attnum - 1)->attname;
}

bool
is_alike(Relation table, const InlinableGuard &guard, Relation root, const InlinableGuard &named)
{
    return guard.policy == named.policy && guard.version.type == named.version.type &&
           guard.version.typmod == named.version.typmod &&
           guard.version.not_null == named.version.not_null &&
           strcmp(NameStr(version_name(table, guard)), NameStr(version_name(root, named))) == 0;
}

/* Can the trigger be spared on all tables that an UPDATE writes?  Fills in what the check needs. */
bool
can_be_disarmed(InlinedUpdate *update, MemoryContext query_context)
{
    const ModifyTableState *state = update->state;
    const ResultRelInfo *root = state->rootResultRelInfo;
    InlinableGuard named;

    if (!settings::inline_guards || settings::bypass ||
        SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
        !find_inlinable_guard(root->ri_RelationDesc, root->ri_TrigDesc, &named))
        return false;

    for (int i = 0; i < state->mt_nrels; i++) {
        const ResultRelInfo *result = &state->resultRelInfo[i];
        Relation relation = result->ri_RelationDesc;
        InlinableGuard guard;
        if (result != root && (!find_inlinable_guard(relation, result->ri_TrigDesc, &guard) ||
                               !is_alike(relation, guard, root->ri_RelationDesc, named)))
            return false;
        const bool checked =
            checked_query(query_context, relation, version_name(root->ri_RelationDesc, named)) !=
            CheckedQuery::Kind::none;
        if (i > 0 && checked != update->checked)
            return false;
        update->checked = checked;
    }

    update->policy = named.policy;
    update->version = named.version;
    update->attribute =
        describe_attribute(RelationGetDescr(root->ri_RelationDesc), named.version.attnum);
    if (is_time(named.version.kind))
        update->clock = statement_clock(named.version.kind);
    return true;
}

/* The triggers of a table but for those that see a row before it is updated. */
TriggerDesc *
without_before_update(const TriggerDesc *triggers)
{
    auto *others = static_cast<TriggerDesc *>(palloc(sizeof(TriggerDesc)));

    *others = *triggers;
    others->trig_update_before_row = false;
    return others;
}

void
disarm(InlinedUpdate *update)
{
    ModifyTableState *state = update->state;

    update->triggers = static_cast<TriggerDesc **>(palloc(sizeof(TriggerDesc *) * state->mt_nrels));
    for (int i = 0; i < state->mt_nrels; i++)
        update->triggers[i] = state->resultRelInfo[i].ri_TrigDesc;
    for (int i = 0; i < state->mt_nrels; i++)
        state->resultRelInfo[i].ri_TrigDesc = without_before_update(update->triggers[i]);
    update->armed = false;
}

InlinedUpdate *
find_or_disarm(InlinedQuery *inlined, Oid relid)
{
    for (InlinedUpdate *update = inlined->updates; update != nullptr; update = update->next) {
        if (update->relid == relid)
            return update;
    }

    ModifyTableState *state = find_update(inlined->query, relid);
    if (state == nullptr)
        return nullptr;

    MemoryContext old = MemoryContextSwitchTo(inlined->context);
    auto *update = static_cast<InlinedUpdate *>(palloc0(sizeof(InlinedUpdate)));
    update->state = state;
    update->relid = relid;
    update->armed = true;
    if (can_be_disarmed(update, inlined->context))
        disarm(update);
    update->next = inlined->updates;
    inlined->updates = update;
    MemoryContextSwitchTo(old);
    return update;
}

bool
is_within(MemoryContext context, MemoryContext outer)
{
    while (context != nullptr && context != outer)
        context = MemoryContextGetParent(context);
    return context != nullptr;
}

}  // namespace

void
watch_inlined_queries()
{
    previous_start = ExecutorStart_hook;
    ExecutorStart_hook = occ_executor_start;
}

/*
 * The expressions of a plan are set up in its query's es_query_cxt, and those
 * of the copy that rechecks rows in a child of it.
 */
InlinedCall
find_inlined_call(MemoryContext context, Oid relid)
{
    for (MemoryContext outer = context; outer != nullptr; outer = MemoryContextGetParent(outer)) {
        for (InlinedQuery *inlined = all_queries; inlined != nullptr; inlined = inlined->next) {
            if (inlined->context != outer)
                continue;
            InlinedUpdate *update = find_or_disarm(inlined, relid);
            if (update == nullptr)
                return {nullptr, false};
            const EState *recheck = update->state->mt_epqstate.recheckestate;
            return {update, recheck != nullptr && is_within(context, recheck->es_query_cxt)};
        }
    }
    return {nullptr, false};
}

void
arm(InlinedUpdate *update)
{
    for (int i = 0; i < update->state->mt_nrels; i++)
        update->state->resultRelInfo[i].ri_TrigDesc = update->triggers[i];
    update->armed = true;
}

/*
 * ExecUpdate() has just locked the row, in the slot of its table, and the
 * executor remembers which of several tables it is at.
 */
RecheckedRow
rechecked_row(const InlinedUpdate &update)
{
    const ModifyTableState *state = update.state;
    const int index = state->mt_nrels > 1 ? state->mt_lastResultIndex : 0;
    const ResultRelInfo *result = &state->resultRelInfo[index];
    TupleTableSlot *slot = state->mt_epqstate.relsubs_slot[result->ri_RangeTableIndex - 1];
    RecheckedRow row = {};
    bool should_free;

    find_inlinable_guard(result->ri_RelationDesc, update.triggers[index], &row.guard);
    row.trigger.type = T_TriggerData;
    row.trigger.tg_event = TRIGGER_EVENT_UPDATE | TRIGGER_EVENT_ROW | TRIGGER_EVENT_BEFORE;
    row.trigger.tg_relation = result->ri_RelationDesc;
    row.trigger.tg_trigger = const_cast<Trigger *>(row.guard.trigger);
    row.trigger.tg_trigslot = slot;
    row.trigger.tg_trigtuple = ExecFetchSlotHeapTuple(slot, false, &should_free);
    return row;
}

}  // namespace occ
