/*
 * One attempt at a statement, kept apart from the ones before and after it.
 */
#ifndef OCC_ATTEMPT_HPP
#define OCC_ATTEMPT_HPP

#include "pg.hpp"
#include "user_statement.hpp"

namespace occ {

/* What an attempt is, and what is undone if it fails. */
enum class Scope : std::uint8_t { transaction, subtransaction };

/*
 * A transaction, if the CALL is all that the client has sent, so that nothing
 * of the caller's would be lost by ending it; else a subtransaction.
 */
Scope scope_of_call(FunctionCallInfo fcinfo);

/*
 * Run the statement, and commit it if the scope is a transaction.  Returns the
 * error that it failed with, or null; either that or *result is in the current
 * memory context, which must outlive the transaction.
 *
 * After a failure the statement's effects are undone, and its locks released.
 * Scope::transaction needs an SPI connection that is not atomic, and its
 * transaction must be restarted before the next attempt.
 */
ErrorData *attempt(Scope scope, const UserStatement &statement, Jsonb **result);

/* Start the transaction again, so that now() and the snapshot are those of its attempt. */
void restart_transaction();

}  // namespace occ

#endif
