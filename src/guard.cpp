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

/* Did an UPDATE that does not name the version column change it, through an earlier trigger? */
bool
version_was_changed(const Row &row)
{
    if (row.stored_null || row.stated_null)
        return row.stored_null != row.stated_null;
    if (row.guard->attribute.by_value)
        return row.stored != row.stated;
    return memcmp(DatumGetPointer(row.stored), DatumGetPointer(row.stated),
                  row.guard->attribute.length) != 0;
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

/*
 * Apply the policy for updates that state no version.  Returns true if the
 * version moves.
 *
 * Under InNoForceRLSOperation() we may be in a referential action, which can
 * not state one; but a user's trigger that a cascade fired sees the flag as
 * well.  The query's end tells them apart.
 */
bool
unstated_moves(const Row &row)
{
    const GuardState &guard = *row.guard;
    const bool maybe_referential = InNoForceRLSOperation();

    switch (guard.policy.unstated) {
    case Unstated::keep:
        return false;
    case Unstated::bump:
        break;
    case Unstated::warn:
        record_unproven(row.trigger, guard.version, guard.policy.enforce, true,
                        maybe_referential ? Excuse::referential : Excuse::none);
        break;
    case Unstated::reject:
        if (!maybe_referential && guard.policy.enforce == Enforce::error)
            report_unstated_update(ERROR, table_name(row.trigger, guard.version));
        record_unproven(row.trigger, guard.version, guard.policy.enforce, false,
                        maybe_referential ? Excuse::referential : Excuse::none);
        break;
    }
    return true;
}

/*
 * A NULL for a NOT NULL column: PostgreSQL's own error, raised here.  It might
 * not get that far: a later trigger may fill the column, and a foreign table's
 * constraint is not enforced.
 */
[[noreturn]] void
raise_null(const Row &row)
{
    Relation relation = row.trigger->tg_relation;
    const AttrNumber attnum = row.guard->version.attnum;

    ereport(ERROR, errcode(ERRCODE_NOT_NULL_VIOLATION),
            errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                   NameStr(TupleDescAttr(row.descriptor(), attnum - 1)->attname),
                   RelationGetRelationName(relation)),
            errhint("State the version that you read."), errtablecol(relation, attnum));
    pg_unreachable();
}

/* Record a stale row.  Returns whether it passes all the same. */
bool
refuse(const Row &row, bool stated_next)
{
    const GuardState &guard = *row.guard;

    /* Neither values nor the row's place: the user may not be allowed to know them. */
    ereport(DEBUG1, errmsg_internal("occ_lock: a row of \"%s\" is stale: token \"%s\" does not "
                                    "let the stated version pass over the stored one",
                                    RelationGetRelationName(row.trigger->tg_relation),
                                    name_of(guard.policy.token).data()));
    record_stale({.trigger = row.trigger,
                  .version = &guard.version,
                  .key_option = guard.key_option,
                  .enforce = guard.policy.enforce,
                  .expected = row.stated,
                  .actual = row.stored,
                  .expected_null = row.stated_null,
                  .actual_null = row.stored_null,
                  .stated_next = stated_next});
    return guard.policy.enforce == Enforce::warn;
}

/* The row as it is to be written, or null to leave it out. */
template <VersionType T>
HeapTuple
decide(const Row &row, const T &type)
{
    using Value = typename T::value_type;

    const GuardState &guard = *row.guard;
    HeapTuple as_stated = row.trigger->tg_newtuple;
    const Maybe<Value> stored = decode_maybe<T>(row.stored, row.stored_null);
    const Maybe<Value> stated = decode_maybe<T>(row.stated, row.stated_null);
    const bool has_stored = stored.has && type.present(stored.value);

    if (!guard.named && !version_was_changed(row)) {
        if (only_ignored_changed(row) || !unstated_moves(row))
            return as_stated;
        return bumped(row, type, stored);
    }
    /* It states what it has read under a lock, even where nobody could state that. */
    if (guard.checked && !version_was_changed(row))
        return has_stored && only_ignored_changed(row) ? as_stated : bumped(row, type, stored);
    if (row.stated_null && guard.version.not_null)
        raise_null(row);

    switch (judge(type, guard.policy.token, guard.policy.echo, stored, stated)) {
    case Verdict::bump:
        if (!only_ignored_changed(row) || (stated.has && !has_stored))
            return bumped(row, type, stored);
        [[fallthrough]];
    case Verdict::keep_stored:
        /* The echo may have been truncated: time_precision. */
        return version_was_changed(row) ? with_version(row, row.stored, row.stored_null)
                                        : as_stated;
    case Verdict::keep_stated:
        return as_stated;
    case Verdict::unstated:
        if (!only_ignored_changed(row))
            unstated_moves(row); /* may raise; the version moves in any case */
        if (has_stored && type.standing(stated.value, stored.value) == Standing::old_stamp)
            return bumped(row, type, stored);
        return as_stated;
    case Verdict::stale:
        break;
    }

    const bool stated_next =
        guard.policy.token == Token::read && stated.has && type.present(stated.value) &&
        (has_stored ? type.standing(stated.value, stored.value) : type.over_null(stated.value)) ==
            Standing::next;
    return refuse(row, stated_next) ? bumped(row, type, stored) : nullptr;
}

HeapTuple
guard_update(const TriggerData *trigger, GuardState *guard)
{
    if (!guard->seen_update) {
        guard->seen_update = true;
        guard->named = bms_is_member(guard->version.attnum - FirstLowInvalidHeapAttributeNumber,
                                     trigger->tg_updatedcols);
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
                                         [&row](const auto &type) { return decide(row, type); });
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
