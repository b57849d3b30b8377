/* Which readings of the clock a client may have read from a row: see clock.hpp. */
#include "pg.hpp"

#include "clock.hpp"

namespace occ {

namespace {

struct Starts {
    TimestampTz transaction;
    TimestampTz statement;
};

/* Of the last transaction of this session that has written and was committed, or prepared. */
Starts committed = {DT_NOBEGIN, DT_NOBEGIN};

/*
 * The start of the last statement that has run a query.  A message that has
 * committed before it ran any, COMMIT AND CHAIN say, has left its start in no
 * row, and the next transaction has that same start.
 */
TimestampTz query_ran = DT_NOBEGIN;

Starts
current_starts()
{
    return {GetCurrentTransactionStartTimestamp(), GetCurrentStatementStartTimestamp()};
}

extern "C" void
occ_transaction_ends(XactEvent event, void *)
{
    switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PREPARE:
        if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
            committed = {GetCurrentTransactionStartTimestamp(), query_ran};
        break;
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
        break;
    }
}

/*
 * Has the client sent another statement before the running one, in the same
 * string?  If a function runs a cursor, we don't know which statement that
 * function belongs to.
 */
bool
follows_another_statement()
{
    if (debug_query_string == nullptr)
        return true;
    std::string_view before(debug_query_string);
    if (PortalIsValid(ActivePortal) && ActivePortal->sourceText == debug_query_string &&
        ActivePortal->stmts != NIL) {
        const int location = linitial_node(PlannedStmt, ActivePortal->stmts)->stmt_location;
        before = before.substr(0, location > 0 ? static_cast<std::size_t>(location) : 0);
    }
    else
        before = before.substr(0, before.find_last_not_of("; \t\r\n") + 1);
    return before.find(';') != std::string_view::npos;
}

/*
 * May an earlier transaction have begun with the client's current message?
 * Within a procedure a transaction begins at a time of its own, after the
 * message came.  All transactions of a string of statements begin when that
 * came.
 */
bool
message_may_have_committed(const Starts &now)
{
    return now.transaction > now.statement ||
           (now.transaction == now.statement && follows_another_statement());
}

/* A timestamp has no zone: a client that stamps one writes the session's time, or UTC. */
void
add_readings(ClockReadings *readings, VersionKind kind, const Starts &starts)
{
    for (const TimestampTz start : {starts.transaction, starts.statement}) {
        if (TIMESTAMP_NOT_FINITE(start))
            continue;
        readings->add(instant_of(kind, start));
        if (kind == VersionKind::timestamp)
            readings->add(start);
    }
}

}  // namespace

void
watch_commits()
{
    RegisterXactCallback(occ_transaction_ends, nullptr);
    if (!IsTransactionState())
        return;
    const Starts now = current_starts();
    query_ran = now.statement;
    if (message_may_have_committed(now))
        committed = {now.statement, now.statement};
}

void
note_query()
{
    query_ran = GetCurrentStatementStartTimestamp();
}

int64
instant_of(VersionKind kind, TimestampTz instant)
{
    switch (kind) {
    case VersionKind::timestamp:
        return DatumGetTimestamp(
            DirectFunctionCall1(timestamptz_timestamp, TimestampTzGetDatum(instant)));
    case VersionKind::double_precision:
        return instant + int64{POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE} * USECS_PER_DAY;
    case VersionKind::timestamptz:
    case VersionKind::smallint:
    case VersionKind::integer:
    case VersionKind::bigint:
    case VersionKind::uuid:
        break;
    }
    return instant;
}

StatementClock
statement_clock(VersionKind kind)
{
    StatementClock clock;

    add_readings(&clock.starts, kind, current_starts());
    add_readings(&clock.committed, kind, committed);
    return clock;
}

}  // namespace occ
