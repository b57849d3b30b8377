/*
 * One SQL statement that the user gave as text, with its parameters as JSON.
 */
#ifndef OCC_USER_STATEMENT_HPP
#define OCC_USER_STATEMENT_HPP

#include "pg.hpp"

namespace occ {

struct UserStatement {
    const char *text;
    Jsonb *arguments; /* an array: $1, $2, ...; or null, for none */
};

/* The arguments, which may be null.  Error: 22023 (no array). */
Jsonb *check_arguments(Jsonb *arguments);

/*
 * Run it with the rights of the current user, on a new snapshot, and return its
 * first row as a JSON object in that memory context; null if it returned none.
 *
 * Parameters have the types that PREPARE would infer; JSON becomes values of
 * them as in jsonb_populate_record().
 *
 * Errors: 22023 (no statement, or too many arguments), 42601 (several
 * statements), 42P02 (too few arguments), 42P18 (a parameter of no certain
 * type), 0A000 (a statement that can't run in a transaction), and whatever the
 * statement raises.
 */
Jsonb *run_user_statement(const UserStatement &statement, MemoryContext context);

}  // namespace occ

#endif
