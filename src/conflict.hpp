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
 * Report the stale rows of all tables that are enforced as given, in one
 * message.  elevel is ERROR or WARNING.  What may be shown was decided before:
 * TableFindings::visible.
 */
void report_conflict(int elevel, const Findings &findings, Enforce enforce);

/* Report that a statement stated no version.  elevel is ERROR or WARNING. */
void report_unstated(int elevel, const TableName &table);

}  // namespace occ

#endif
