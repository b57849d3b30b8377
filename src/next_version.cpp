/*
 * occ.next_version(): the guard as a part of the plan of an UPDATE.
 *
 * inline_plan.cpp puts calls of it into SET lists.  It sees a row before that
 * is locked, so it does not judge alone: only what passes without any doubt is
 * settled here, since PostgreSQL then either writes over this very version of
 * the row or computes it anew.  Everything else is left to the trigger.
 */
#include "pg.hpp"

#include "conflict.hpp"
#include "decision.hpp"
#include "findings.hpp"
#include "inline_query.hpp"
#include "settings.hpp"
#include "version_types.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_next_version);
}

namespace occ {

namespace {

/* The version of one row. */
struct Versions {
    Datum stored;
    Datum stated;
    bool stored_null;
    bool stated_null;
    bool named; /* the SET list names the column */
};

/*
 * Report a row that turned out stale, or unproven, when it had been locked.
 * The trigger does not see it any more.  It will be written, and the statement
 * fails when it ends.
 */
template <VersionType T>
void
report_rechecked(const InlinedUpdate &update, const Versions &row, const T &type,
                 const Decision &decision)
{
    const RecheckedRow rechecked = rechecked_row(update);
    const TriggerData *trigger = &rechecked.trigger;
    const VersionColumn &version = rechecked.guard.version;
    const auto stored = decode_maybe<T>(row.stored, row.stored_null);
    const auto stated = decode_maybe<T>(row.stated, row.stated_null);

    if (row.named && row.stated_null && version.not_null)
        raise_null_version(trigger, version);
    if (decision.unproven)
        note_unproven_update(trigger, version, update.policy);
    if (decision.written == WrittenVersion::none)
        record_stale({.trigger = trigger,
                      .version = &version,
                      .policy = &update.policy,
                      .key_option = rechecked.guard.key_option,
                      .expected = row.stated,
                      .actual = row.stored,
                      .expected_null = row.stated_null,
                      .actual_null = row.stored_null,
                      .stated_next = states_next(type, update.policy.token, stored, stated),
                      .stated_seconds = states_seconds(type, update.policy.token, stored, stated)});
}

/* The version to write, in place of the stated one. */
template <VersionType T>
void
settle(const InlinedCall &call, Versions *row, const T &type)
{
    InlinedUpdate *update = call.update;
    const auto stored = decode_maybe<T>(row->stored, row->stored_null);
    const auto stated = decode_maybe<T>(row->stated, row->stated_null);
    const bool echo = row->stored_null == row->stated_null &&
                      (row->stored_null || same_value(update->attribute, row->stored, row->stated));
    const Decision decision =
        decide(type, update->policy, {row->named, echo, update->checked}, stored, stated);

    if (decision.written == WrittenVersion::none || decision.unproven ||
        (row->named && row->stated_null && update->version.not_null &&
         !(update->checked && echo))) {
        if (!call.rechecks) {
            arm(update);
            return;
        }
        report_rechecked(*update, *row, type, decision);
    }
    switch (decision.written) {
    case WrittenVersion::next:
        row->stated = Codec<T>::encode(next_version(type, stored, fresh_for(update->version.kind)));
        row->stated_null = false;
        return;
    case WrittenVersion::stored:
        row->stated = row->stored;
        row->stated_null = row->stored_null;
        return;
    case WrittenVersion::stated:
    case WrittenVersion::none:
        return;
    }
}

}  // namespace

}  // namespace occ

/*
 * occ.next_version(internal, regclass, stored anyelement [, stated anyelement])
 * RETURNS anyelement
 *
 * The version that an UPDATE writes into a row of that table, or of one below
 * it, or the last argument where the trigger is to judge.  Without "stated" the
 * UPDATE says nothing of what it has read; in place of "stored" there may be a
 * default then.  Not for SQL: it takes an "internal".  Errors: 23502 and PT428
 * for a row that was changed while the UPDATE waited for it.
 */
Datum
occ_next_version(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const bool named = PG_NARGS() > 3;
    const int stated = named ? 3 : 2;
    Versions row = {PG_GETARG_DATUM(2), PG_GETARG_DATUM(stated), PG_ARGISNULL(2),
                    PG_ARGISNULL(stated), named};
    auto *call = static_cast<InlinedCall *>(fcinfo->flinfo->fn_extra);

    if (call == nullptr) {
        call = static_cast<InlinedCall *>(
            MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(InlinedCall)));
        *call = find_inlined_call(fcinfo->flinfo->fn_mcxt, PG_GETARG_OID(1));
        fcinfo->flinfo->fn_extra = call;
    }

    if (call->mark != nullptr)
        call->mark->names = named;
    if (call->update != nullptr && !call->update->armed) {
        if (settings::bypass || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA)
            arm(call->update);
        else
            with_version_type(call->update->version, call->update->policy.time_precision,
                              call->update->clock,
                              [&](const auto &type) { settle(*call, &row, type); });
    }
    if (row.stated_null)
        PG_RETURN_NULL();
    PG_RETURN_DATUM(row.stated);
}
