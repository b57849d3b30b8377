/* When findings become an error: at the end of the statement, or of the transaction. */
#ifndef OCC_STATEMENT_HPP
#define OCC_STATEMENT_HPP

#include "pg.hpp"

namespace occ {

/* Install the executor hook and the transaction callback; called once, at load. */
void watch_statements();

/* Log that occ_lock.bypass lets rows of this table pass, once a transaction. */
void log_bypass(Relation relation);

}  // namespace occ

#endif
