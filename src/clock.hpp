/*
 * The clock, in the epoch of each kind of version; and which of its readings
 * the client that states them may have read from a row.
 */
#ifndef OCC_CLOCK_HPP
#define OCC_CLOCK_HPP

#include "pg.hpp"
#include "relation.hpp"
#include "version.hpp"

namespace occ {

/*
 * Remember the starts of what is committed, from now on and, as far as can be
 * told, since the client's current message came; called once, at load.
 */
void watch_commits();

/* Note that a query starts to run: what it writes may hold the start of its statement. */
void note_query();

/*
 * An instant in the epoch of a version type: timestamptz counts from 2000 UTC,
 * timestamp from 2000 in the session's zone (as LOCALTIMESTAMP does), double
 * precision from 1970 UTC.
 */
int64 instant_of(VersionKind kind, TimestampTz instant);

/* What the running statement knows of the clock. */
StatementClock statement_clock(VersionKind kind);

}  // namespace occ

#endif
