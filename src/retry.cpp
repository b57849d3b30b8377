/* occ.retry(): run a statement again for as long as it conflicts. */
#include "pg.hpp"

#include "attempt.hpp"
#include "backoff.hpp"
#include "settings.hpp"
#include "sqlstate.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_retry);
}

namespace occ {

namespace {

/* The arguments of occ.retry(), checked. */
struct Retry {
    UserStatement statement;
    int max_attempts;
    Backoff backoff;
};

/* What the error context tells. */
struct Progress {
    int attempt;
    int max_attempts;
    bool pausing;
};

[[noreturn]] void
raise_null(const char *name)
{
    ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" must not be null", name),
            errhint("Leave it out to use its default."));
    pg_unreachable();
}

/* A delay in microseconds. */
int64
delay_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
    if (PG_ARGISNULL(argument))
        raise_null(name);

    const Interval *delay = PG_GETARG_INTERVAL_P(argument);
    const int64 days = int64{delay->month} * DAYS_PER_MONTH + delay->day;
    int64 microseconds;
    if (!pg::is_finite(delay) || pg_mul_s64_overflow(days, USECS_PER_DAY, &microseconds) ||
        pg_add_s64_overflow(microseconds, delay->time, &microseconds))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%s\" is too long", name),
                errhint("Pass an interval such as '5 ms'."));
    if (microseconds < 0)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"%s\" must not be negative", name),
                errhint("Pass an interval such as '5 ms'."));
    return microseconds;
}

Retry
read_arguments(FunctionCallInfo fcinfo)
{
    Retry retry;

    if (PG_ARGISNULL(0))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("\"statement\" must not be null"),
                errhint("Pass the statement to run, as text."));
    if (PG_ARGISNULL(1))
        raise_null("max_attempts");
    retry.statement.text = text_to_cstring(PG_GETARG_TEXT_PP(0));
    retry.statement.arguments =
        check_arguments(PG_ARGISNULL(4) ? nullptr : PG_GETARG_JSONB_P_COPY(4));
    retry.max_attempts = PG_GETARG_INT32(1);
    retry.backoff = {delay_argument(fcinfo, 2, "base_delay"),
                     delay_argument(fcinfo, 3, "max_delay")};

    if (retry.max_attempts < 1)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"max_attempts\" must be at least 1"),
                errhint("1 runs the statement once, without trying again."));
    if (retry.backoff.base > retry.backoff.max)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"base_delay\" must not be longer than \"max_delay\""),
                errhint("The pauses grow from the one to the other."));
    return retry;
}

/* Under a snapshot that stays, an attempt meets the same conflict as the one before. */
void
check_isolation(Scope scope)
{
    if (scope == Scope::transaction || !IsolationUsesXactSnapshot())
        return;
    ereport(
        ERROR, errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
        errmsg("occ.retry() cannot try again within a %s transaction",
               XactIsoLevel == XACT_SERIALIZABLE ? "SERIALIZABLE" : "REPEATABLE READ"),
        errdetail("Every attempt would see the snapshot of the first one, and fail as it did."),
        errhint("Call it on its own, outside of transaction blocks, pipelines and functions, so "
                "that each attempt is a transaction; or use READ COMMITTED."));
}

/* May another attempt succeed? */
bool
is_worth_a_retry(const ErrorData &error)
{
    switch (error.sqlerrcode) {
    case sqlstate::conflict:
    case ERRCODE_T_R_SERIALIZATION_FAILURE:
    case ERRCODE_T_R_DEADLOCK_DETECTED:
        return true;
    default:
        return error.sqlerrcode == settings::conflict_sqlstate();
    }
}

extern "C" void
occ_retry_context(void *argument)
{
    const auto *progress = static_cast<Progress *>(argument);

    if (progress->pausing)
        errcontext("occ.retry(), pause after attempt %d of %d", progress->attempt,
                   progress->max_attempts);
    else
        errcontext("occ.retry(), attempt %d of %d", progress->attempt, progress->max_attempts);
}

/* Nothing is open meanwhile that a transaction of its own could hold. */
void
pause(Scope scope, const Backoff &backoff, int failed, const ErrorData &error)
{
    const double seconds = static_cast<double>(backoff.pause(failed, pg::random_fraction())) / 1e6;

    ereport(DEBUG1,
            errmsg_internal("occ.retry(): attempt %d failed with SQLSTATE %s, pause of %.6f s",
                            failed, unpack_sql_state(error.sqlerrcode), seconds));
    if (scope == Scope::transaction)
        restart_transaction();
    DirectFunctionCall1(pg_sleep, Float8GetDatum(seconds));
    if (scope == Scope::transaction)
        restart_transaction();
}

/*
 * Returns the number of attempts; *result is the last one's.  What an attempt
 * and its error have left is gone before the next one.
 */
int
run_until_done(const Retry &retry, Scope scope, Jsonb **result)
{
    MemoryContext of_one_attempt =
        AllocSetContextCreate(CurrentMemoryContext, "occ.retry", ALLOCSET_DEFAULT_SIZES);
    Progress progress = {1, retry.max_attempts, false};
    ErrorContextCallback context = {error_context_stack, occ_retry_context, &progress};

    error_context_stack = &context;
    MemoryContext old = MemoryContextSwitchTo(of_one_attempt);
    while (ErrorData *error = attempt(scope, retry.statement, result)) {
        if (progress.attempt == retry.max_attempts || !is_worth_a_retry(*error))
            ReThrowError(error);
        progress.pausing = true;
        pause(scope, retry.backoff, progress.attempt, *error);
        MemoryContextReset(of_one_attempt);
        progress.attempt++;
        progress.pausing = false;
    }
    MemoryContextSwitchTo(old);
    error_context_stack = context.previous;
    return progress.attempt;
}

}  // namespace

}  // namespace occ

/*
 * PROCEDURE occ.retry(statement text, max_attempts int, base_delay interval,
 * max_delay interval, arguments jsonb, INOUT attempts int, INOUT result jsonb)
 *
 * Tries again after a conflict, a serialization failure (40001) or a deadlock
 * (40P01).  Gives up with the last error; any other error passes at once.
 * Errors of its own: 22004, 22023 (arguments), 25001 (within a REPEATABLE READ
 * or SERIALIZABLE transaction), those of run_user_statement().
 */
Datum
occ_retry(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const Retry retry = read_arguments(fcinfo);
    const Scope scope = scope_of_call(fcinfo);
    MemoryContext context = CurrentMemoryContext; /* outlives the transaction if that is ours */
    TupleDesc descriptor;
    Jsonb *result;

    /* Before the statement can drop the procedure. */
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    descriptor = BlessTupleDesc(descriptor);

    check_isolation(scope);
    SPI_connect_ext(scope == Scope::transaction ? SPI_OPT_NONATOMIC : 0);
    MemoryContextSwitchTo(context);
    const int attempts = run_until_done(retry, scope, &result);
    SPI_finish();

    const Datum values[] = {Int32GetDatum(attempts),
                            result == nullptr ? Datum{0} : JsonbPGetDatum(result)};
    const bool nulls[] = {false, result == nullptr};
    return HeapTupleGetDatum(
        heap_form_tuple(descriptor, const_cast<Datum *>(values), const_cast<bool *>(nulls)));
}
