/*
 * One statement that writes rows of a batch: rows that are locked and verified,
 * or those that have the version that was read.
 */
#ifndef OCC_WRITE_STATEMENT_HPP
#define OCC_WRITE_STATEMENT_HPP

#include "batch.hpp"
#include "batch_query.hpp"

namespace occ {

/*
 * Write the rows of a shape, but for those that are done already; each row that
 * is written gets its status and the version that is now stored.
 *
 * sends_version: the UPDATE states BatchRow::version, which was verified, and
 * the guard verifies it once more.  Otherwise it states the stored one.
 *
 * Find::by_version: BatchRow::version is sent to be compared, all rows are of
 * this shape, and those that do not have it are reported as conflicts, before
 * anything fires.  Returns false, and has done nothing, if rows would not be
 * written in the order of their keys.
 *
 * Errors: 21000 (a key that two rows have), 55000 (a version that has not
 * moved), what the statement raises.
 */
bool write_statement(Batch *batch, const Shape &shape, Operation operation, Find find,
                     bool sends_version);

}  // namespace occ

#endif
