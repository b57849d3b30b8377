/*
 * The messages about a refused statement: the one place that raises them.
 * Their form is part of the interface: see docs/errors.md.
 */
#ifndef OCC_CONFLICT_HPP
#define OCC_CONFLICT_HPP

#include "findings.hpp"
#include "pg.hpp"

namespace occ {

/*
 * Report the rows in conflict of all tables that are enforced as given, in one
 * message.  elevel is ERROR or WARNING.  What may be shown was decided before:
 * TableFindings::visible.
 */
void report_conflict(int elevel, const Findings &findings, Enforce enforce);

/* Report that an UPDATE stated no version.  elevel is ERROR or WARNING. */
void report_unstated_update(int elevel, const TableName &table);

/*
 * Report that an UPDATE may have stated no version, since it can't be told which
 * of the statement's actions it was, and not all of them state one.
 */
void report_undecided_update(int elevel, const TableName &table);

/* Report that a DELETE came from elsewhere than occ.delete(). */
void report_unchecked_delete(int elevel, const TableName &table);

/*
 * Raise 23502: a NULL for a version column that is NOT NULL.  PostgreSQL's own
 * error, raised by us, because it might not get that far: a later trigger may
 * fill the column, and a foreign table's constraint is not enforced.
 */
[[noreturn]] void raise_null_version(const TriggerData *trigger, const VersionColumn &version);

/*
 * An UPDATE of a row does not say what it has read, and the owner wants to
 * know: raise that at once, or record it where only the query's end can tell.
 */
void note_unproven_update(const TriggerData *trigger, const VersionColumn &version,
                          const Policy &policy);

}  // namespace occ

#endif
