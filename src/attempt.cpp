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
        SPI_commit();
    }
    PG_CATCH();
    {
        error = catch_error(context);
    }
    PG_END_TRY();

    MemoryContextSwitchTo(context);
    return error;
}

/* Is the running statement of the client a CALL of that procedure? */
bool
is_what_the_client_sent(Oid procedure)
{
    if (!PortalIsValid(ActivePortal) || list_length(ActivePortal->stmts) != 1)
        return false;

    const Node *statement = linitial_node(PlannedStmt, ActivePortal->stmts)->utilityStmt;
    return statement != nullptr && IsA(statement, CallStmt) &&
           reinterpret_cast<const CallStmt *>(statement)->funcexpr->funcid == procedure;
}

}  // namespace

Scope
scope_of_call(FunctionCallInfo fcinfo)
{
    /* Not in a transaction block, nor in a string of several statements. */
    const Node *call = fcinfo->context;
    if (call == nullptr || !IsA(call, CallContext) ||
        reinterpret_cast<const CallContext *>(call)->atomic)
        return Scope::subtransaction;

    /*
     * Nor in a procedure or DO block: to end its transaction would be to lose
     * what it has locked and set in it, the role among that.
     */
    if (!is_what_the_client_sent(fcinfo->flinfo->fn_oid))
        return Scope::subtransaction;

    /*
     * Nor after another statement of a pipeline, which looks to PostgreSQL like
     * a transaction of its own; and no function in the arguments has written.
     */
    if ((MyXactFlags & XACT_FLAGS_PIPELINING) != 0 ||
        TransactionIdIsValid(GetTopTransactionIdIfAny()))
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
    SPI_rollback();
}

}  // namespace occ
