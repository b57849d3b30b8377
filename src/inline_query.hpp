/*
 * UPDATEs that run with the check of the version in their plan, and the
 * trigger that it stands in for.
 *
 * While an UPDATE is armed the trigger fires, and what is in the plan has no
 * say.  It is disarmed when its first row is computed, if all tables that it
 * writes allow that, and armed again at the first row on which the plan's
 * check can't judge alone.
 */
#ifndef OCC_INLINE_QUERY_HPP
#define OCC_INLINE_QUERY_HPP

#include "attribute.hpp"
#include "inlinable.hpp"
#include "naming.hpp"
#include "pg.hpp"
#include "version.hpp"

namespace occ {

/* One UPDATE of a running query, in that query's memory. */
struct InlinedUpdate {
    InlinedUpdate *next;
    ModifyTableState *state;
    Oid relid; /* the table that the statement names; all that it writes are alike */
    bool armed;
    bool checked; /* the query has verified its rows: see checked_query.hpp */
    Policy policy;
    VersionColumn version;
    Attribute attribute;
    StatementClock clock;
    TriggerDesc **triggers; /* by result relation: those that fire while it is armed */
};

/* Where a call of the check stands; all of it is fixed for the life of an expression. */
struct InlinedCall {
    InlinedUpdate *update; /* null if it belongs to no UPDATE that we know */
    NamingMark *mark;      /* of the statement that it belongs to; null likewise */
    bool rechecks;         /* the row is locked, and the trigger would have seen it already */
};

/*
 * Find the statement that writes a table and whose plan, or the copy of it that
 * rechecks locked rows, was set up in that memory context.  An UPDATE is
 * disarmed at the first call, if that is possible.
 */
InlinedCall find_inlined_call(MemoryContext context, Oid relid);

/* Let the trigger judge the row that is being computed, and all that follow. */
void arm(InlinedUpdate *update);

/* The row that is being rechecked, as the trigger would get it. */
struct RecheckedRow {
    TriggerData trigger;
    InlinableGuard guard; /* of the very table that the row is in */
};

RecheckedRow rechecked_row(const InlinedUpdate &update);

}  // namespace occ

#endif
