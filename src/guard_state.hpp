/*
 * What the guard knows of a table while one query writes to it: its options,
 * looked up once, where the version lies, and whether the query is one of
 * occ_lock's own.
 */
#ifndef OCC_GUARD_STATE_HPP
#define OCC_GUARD_STATE_HPP

#include "attribute.hpp"
#include "naming.hpp"
#include "pg.hpp"
#include "relation.hpp"
#include "version.hpp"

namespace occ {

/*
 * What holds for all rows that one query writes in one table.  It lives with
 * the query's trigger state (fn_extra), so no ALTER TABLE can come between.
 */
struct GuardState {
    Oid relid;
    Oid trigger;
    bool is_partition;
    bool checked; /* the query has verified its rows: see checked_query.hpp */
    Policy policy;
    VersionColumn version;
    Attribute attribute; /* where the version lies in a tuple */
    StatementClock clock;
    std::string_view key_option; /* points into the trigger's own arguments */
    bool seen_update;
    bool named;           /* the statement sets the version column; known once seen_update is set */
    Naming naming;        /* whether the row's own action does; likewise */
    int compared_count;   /* columns whose change counts; without ignore, 0 */
    AttrNumber *compared; /* without ignore, null */
    bool has_the_last_word; /* no later BEFORE trigger can keep an update from happening */
    ItemPointerData passed; /* the row that was passed last, if it may move (deletes checked) */
};

/* Does the guard handle that event? */
inline bool
is_guarded_event(TriggerEvent event)
{
    return TRIGGER_FIRED_BEFORE(event) && TRIGGER_FIRED_FOR_ROW(event) &&
           (TRIGGER_FIRED_BY_UPDATE(event) || TRIGGER_FIRED_BY_DELETE(event));
}

/* Raise 39P01: occ.guard() was called by hand, or a trigger fires it otherwise. */
[[noreturn]] void raise_protocol_violation(FunctionCallInfo fcinfo);

/*
 * The state for the table that fired, made if there is none yet.  Errors:
 * 39P01, 22023 (arguments), 42703, 42804, 42P17 (version column), 55000 (a
 * second guard).
 */
GuardState *prepare_guard(FunctionCallInfo fcinfo, const TriggerData *trigger);

}  // namespace occ

#endif
