/* One attempt at a statement: see attempt.hpp. */
#include "pg.hpp"

#include "attempt.hpp"

namespace occ {

namespace {

/* The error being handled, as a copy in that memory context. */
ErrorData *
catch_error(MemoryContext context)
{
    MemoryContextSwitchTo(context);
    ErrorData *error = CopyErrorData();
    FlushErrorState();
    return error;
}

/*
 * The subtransaction clears away what the failed statement had open: SPI
 * connections, snapshots, portals, locks.  SPI_rollback() alone refuses to.
 * Not inlined: setjmp() must not meet the variables of the caller.
 */
pg_noinline ErrorData *
run(const UserStatement &statement, Jsonb **result)
{
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData *volatile error = nullptr;

    BeginInternalSubTransaction(nullptr);
    PG_TRY();
    {
        *result = run_user_statement(statement, context);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        error = catch_error(context);
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();

    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    return error;
}

/* A commit can fail, too: deferred triggers, SERIALIZABLE.  SPI has rolled back then. */
pg_noinline ErrorData *
commit()
{
    MemoryContext context = CurrentMemoryContext;
    ErrorData *volatile error = nullptr;

    PG_TRY();
    {
        SPI_commit_and_chain();
    }
    PG_CATCH();
    {
        error = catch_error(context);
    }
    PG_END_TRY();

    MemoryContextSwitchTo(context);
    return error;
}

}  // namespace

Scope
scope_of_call(FunctionCallInfo fcinfo)
{
    const Node *call = fcinfo->context;

    /* In a transaction block, a function, or a procedure that can't commit. */
    if (call == nullptr || !IsA(call, CallContext) ||
        reinterpret_cast<const CallContext *>(call)->atomic)
        return Scope::subtransaction;

    /* In a block with an EXCEPTION clause. */
    if (IsSubTransaction())
        return Scope::subtransaction;

    /*
     * There may be something to lose: the caller has written before, or the call
     * is not the first statement of a pipeline, which looks to PostgreSQL like a
     * transaction of its own.
     */
    if (TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
        (MyXactFlags & XACT_FLAGS_PIPELINING) != 0)
        return Scope::subtransaction;

    return Scope::transaction;
}

ErrorData *
attempt(Scope scope, const UserStatement &statement, Jsonb **result)
{
    *result = nullptr;
    ErrorData *error = run(statement, result);
    if (error == nullptr && scope == Scope::transaction)
        error = commit();
    return error;
}

void
restart_transaction()
{
    SPI_rollback_and_chain();
}

}  // namespace occ
