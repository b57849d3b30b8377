/* UPDATEs that run with the check in their plan: see inline_query.hpp. */
#include "pg.hpp"

#include "checked_query.hpp"
#include "inline_query.hpp"
#include "settings.hpp"
#include "version_types.hpp"
#include "watched_query.hpp"

namespace occ {

namespace {

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

    for_each_modify_table(query, [&](const ModifyTableState *state) {
        if (state->operation != CMD_UPDATE || named_table_of(state) != relid)
            return;
        several = several || found != nullptr;
        found = const_cast<ModifyTableState *>(state);
    });
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
find_or_disarm(WatchedQuery *watched, Oid relid)
{
    for (InlinedUpdate *update = watched->updates; update != nullptr; update = update->next) {
        if (update->relid == relid)
            return update;
    }

    ModifyTableState *state = find_update(watched->query, relid);
    if (state == nullptr)
        return nullptr;

    MemoryContext old = MemoryContextSwitchTo(watched->context);
    auto *update = static_cast<InlinedUpdate *>(palloc0(sizeof(InlinedUpdate)));
    update->state = state;
    update->relid = relid;
    update->armed = true;
    if (can_be_disarmed(update, watched->context))
        disarm(update);
    update->next = watched->updates;
    watched->updates = update;
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

/*
 * The expressions of a plan are set up in its query's es_query_cxt, and those
 * of the copy that rechecks rows in a child of it.
 */
InlinedCall
find_inlined_call(MemoryContext context, Oid relid)
{
    for (MemoryContext outer = context; outer != nullptr; outer = MemoryContextGetParent(outer)) {
        WatchedQuery *watched = find_watched_query(outer);
        if (watched == nullptr)
            continue;
        InlinedCall call = {find_or_disarm(watched, relid), naming_mark(watched, relid), false};
        if (call.update != nullptr) {
            const EState *recheck = call.update->state->mt_epqstate.recheckestate;
            call.rechecks = recheck != nullptr && is_within(context, recheck->es_query_cxt);
        }
        return call;
    }
    return {};
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
