/*
 * occ.guard(): the trigger that keeps the version of a guarded table.
 *
 * Row by row it finds out what the UPDATE states of the version, lets
 * version.hpp judge it, and passes the row with the right version or leaves it
 * out.  A row left out is recorded in the statement's findings, which become
 * one error when the statement ends.
 */
#include "pg.hpp"

#include "conflict.hpp"
#include "decision.hpp"
#include "findings.hpp"
#include "guard_state.hpp"
#include "settings.hpp"
#include "statement.hpp"
#include "version_types.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_guard);
}

namespace occ {

namespace {

/* One row on its way through the guard. */
struct Row {
    const TriggerData *trigger;
    const GuardState *guard;
    char *stated_at; /* where the stated version lies in NEW */
    Datum stored;
    Datum stated;
    bool stored_null;
    bool stated_null;

    TupleDesc descriptor() const { return RelationGetDescr(trigger->tg_relation); }
};

/* Is NEW's version another than OLD's?  Where the UPDATE does not name it, an earlier trigger did
 * that. */
bool
version_was_changed(const Row &row)
{
    if (row.stored_null || row.stated_null)
        return row.stored_null != row.stated_null;
    return !same_value(row.guard->attribute, row.stored, row.stated);
}

/* Does the action that updates the row name the version column, as far as is known? */
bool
names_version(const GuardState &guard)
{
    return guard.naming.mark != nullptr ? guard.naming.mark->names : guard.named;
}

/* Did nothing change but ignored columns? */
bool
only_ignored_changed(const Row &row)
{
    if (row.guard->compared == nullptr)
        return false;

    TupleTableSlot *before = row.trigger->tg_trigslot;
    TupleTableSlot *after = row.trigger->tg_newslot;
    slot_getallattrs(before);
    slot_getallattrs(after);
    for (int i = 0; i < row.guard->compared_count; i++) {
        const int column = row.guard->compared[i] - 1;
        Form_pg_attribute attribute = TupleDescAttr(row.descriptor(), column);
        const Datum old_value = before->tts_values[column];
        const Datum new_value = after->tts_values[column];

        if (before->tts_isnull[column] != after->tts_isnull[column])
            return false;
        /* The first comparison spares us from fetching an unchanged toasted value. */
        if (!before->tts_isnull[column] &&
            !datumIsEqual(old_value, new_value, attribute->attbyval, attribute->attlen) &&
            !datum_image_eq(old_value, new_value, attribute->attbyval, attribute->attlen))
            return false;
    }
    return true;
}

/* The NEW row with another version: mostly the same tuple, overwritten in place. */
HeapTuple
with_version(const Row &row, Datum version, bool isnull)
{
    int column = row.guard->version.attnum;
    HeapTuple tuple = row.trigger->tg_newtuple;

    if (!isnull && overwrite_attribute(row.trigger->tg_newslot, tuple, row.guard->attribute,
                                       row.stated_at, version))
        return tuple;
    return heap_modify_tuple_by_cols(tuple, row.descriptor(), 1, &column, &version, &isnull);
}

/* The row with the version after the stored one. */
template <VersionType T>
HeapTuple
bumped(const Row &row, const T &type, const Maybe<typename T::value_type> &stored)
{
    const auto next = next_version(type, stored, fresh_for(row.guard->version.kind));

    return with_version(row, Codec<T>::encode(next), false);
}

/* The row as it is to be written, or null to leave it out. */
template <VersionType T>
HeapTuple
settle(const Row &row, const T &type)
{
    const GuardState &guard = *row.guard;
    HeapTuple as_stated = row.trigger->tg_newtuple;
    const auto stored = decode_maybe<T>(row.stored, row.stored_null);
    const auto stated = decode_maybe<T>(row.stated, row.stated_null);
    const bool changed = version_was_changed(row);
    const Claim claim = {names_version(guard) || changed, !changed, guard.checked};

    if (row.stated_null && guard.version.not_null && claim.stated && !(claim.checked && claim.echo))
        raise_null_version(row.trigger, guard.version);

    const Decision decision = decide(type, guard.policy, claim, stored, stated);
    const bool undecided =
        guard.naming.is_undecided && claim.echo && !claim.checked && refuses_unstated(guard.policy);
    const bool ignored =
        (decision.ignorable || decision.unproven || undecided) && only_ignored_changed(row);
    if (decision.unproven && !ignored)
        note_unproven_update(row.trigger, guard.version, guard.policy);
    if (undecided && !ignored)
        record_unproven(row.trigger, guard.version, guard.policy.enforce,
                        guard.policy.unstated == Unstated::warn, Excuse::naming);

    switch (decision.written) {
    case WrittenVersion::next:
        if (!(decision.ignorable && ignored))
            return bumped(row, type, stored);
        [[fallthrough]];
    case WrittenVersion::stored:
        /* The echo may have been truncated: time_precision. */
        return changed ? with_version(row, row.stored, row.stored_null) : as_stated;
    case WrittenVersion::stated:
        return as_stated;
    case WrittenVersion::none:
        break;
    }
    record_stale({.trigger = row.trigger,
                  .version = &guard.version,
                  .policy = &guard.policy,
                  .key_option = guard.key_option,
                  .expected = row.stated,
                  .actual = row.stored,
                  .expected_null = row.stated_null,
                  .actual_null = row.stored_null,
                  .stated_next = states_next(type, guard.policy.token, stored, stated),
                  .stated_seconds = states_seconds(type, guard.policy.token, stored, stated)});
    return guard.policy.enforce == Enforce::warn ? bumped(row, type, stored) : nullptr;
}

HeapTuple
guard_update(const TriggerData *trigger, GuardState *guard)
{
    if (!guard->seen_update) {
        guard->seen_update = true;
        guard->named = bms_is_member(guard->version.attnum - FirstLowInvalidHeapAttributeNumber,
                                     trigger->tg_updatedcols);
        if (guard->named)
            guard->naming = naming_of(trigger, guard->version.attnum);
    }

    Row row = {};
    row.trigger = trigger;
    row.guard = guard;
    row.stated_at = attribute_address(trigger->tg_newtuple, row.descriptor(), guard->attribute);
    row.stated = read_attribute(trigger->tg_newtuple, row.descriptor(), guard->attribute,
                                row.stated_at, &row.stated_null);
    row.stored =
        read_attribute(trigger->tg_trigtuple, row.descriptor(), guard->attribute,
                       attribute_address(trigger->tg_trigtuple, row.descriptor(), guard->attribute),
                       &row.stored_null);

    HeapTuple result = with_version_type(guard->version, guard->policy.time_precision, guard->clock,
                                         [&row](const auto &type) { return settle(row, type); });
    if (guard->is_partition && guard->policy.deletes == Deletes::checked && result != nullptr)
        guard->passed = trigger->tg_trigtuple->t_self;
    return result;
}

/*
 * Let a delete through or not, where deletes are checked.  A row that moves to
 * another partition is deleted here as well, and nothing says so, but this
 * trigger has just passed its update.  If a later trigger may have kept that
 * update from happening, it can also be the next action of a MERGE on the same
 * row; the query's end tells.
 */
HeapTuple
guard_delete(const TriggerData *trigger, const GuardState &guard)
{
    HeapTuple row = trigger->tg_trigtuple;

    if (guard.policy.deletes == Deletes::allow || guard.checked)
        return row;

    const bool was_passed = ItemPointerIsValid(&guard.passed) &&
                            ItemPointerEquals(const_cast<ItemPointer>(&guard.passed), &row->t_self);
    if (was_passed && guard.has_the_last_word)
        return row;

    const Excuse excuse = was_passed                ? Excuse::moving
                          : InNoForceRLSOperation() ? Excuse::referential
                                                    : Excuse::none;
    if (excuse == Excuse::none && guard.policy.enforce == Enforce::error)
        report_unchecked_delete(ERROR, table_name(trigger, guard.version));
    record_unproven(trigger, guard.version, guard.policy.enforce, false, excuse);
    return row;
}

}  // namespace

}  // namespace occ

/*
 * occ.guard([version_column [, 'option=value' ...]]) RETURNS trigger
 *
 * BEFORE UPDATE [OR DELETE], FOR EACH ROW.  Errors: those of prepare_guard();
 * PT428 (no version stated, or a delete that is not checked) at once, or for
 * what may be a referential action when the statement ends; PT409 when the
 * statement ends.
 */
Datum
occ_guard(PG_FUNCTION_ARGS)
{
    using namespace occ;

    auto *trigger = reinterpret_cast<TriggerData *>(fcinfo->context);

    if (!CALLED_AS_TRIGGER(fcinfo) || !is_guarded_event(trigger->tg_event))
        raise_protocol_violation(fcinfo);

    const bool is_delete = TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
    HeapTuple as_stated = is_delete ? trigger->tg_trigtuple : trigger->tg_newtuple;

    /* Rows that replication applies are already what they shall be. */
    if (SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
        return PointerGetDatum(as_stated);
    if (settings::bypass) {
        log_bypass(trigger->tg_relation);
        return PointerGetDatum(as_stated);
    }

    auto *guard = static_cast<GuardState *>(fcinfo->flinfo->fn_extra);
    if (guard == nullptr || guard->relid != RelationGetRelid(trigger->tg_relation) ||
        guard->trigger != trigger->tg_trigger->tgoid)
        guard = prepare_guard(fcinfo, trigger);
    return PointerGetDatum(is_delete ? guard_delete(trigger, *guard)
                                     : guard_update(trigger, guard));
}
