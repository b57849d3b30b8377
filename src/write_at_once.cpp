/* Rows that are locked, compared and written by one UPDATE.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "version_types.hpp"
#include "write_statement.hpp"

namespace occ {

namespace {

/*
 * Is each version the one that was read exactly if SQL says so?  It does not
 * know time_precision, nor what an infinite time or NULL mean to the guard.
 */
bool
are_compared_by_sql(const Batch &batch)
{
    const Target &target = batch.target;

    if (is_time(target.version.kind) && target.policy.time_precision != TimePrecision::us)
        return false;
    for (std::uint64_t i = 0; i < batch.count; i++) {
        const Value &expected = batch.rows[i].expected[0];
        if (expected.isnull || !is_present(target.version, expected.datum))
            return false;
    }
    return true;
}

/*
 * Nothing that the user can see may depend on whether rows are locked before
 * others are written: no triggers but guard and foreign keys, no policies, no
 * stale rows that are written or left out, and no snapshot that may be too old
 * for a row.  More than one statement, or more than one table, has more than
 * one order.
 */
bool
can_write_at_once(const Batch &batch, OnConflict on_conflict)
{
    const Target &target = batch.target;

    return batch.count > 0 && on_conflict == OnConflict::error &&
           target.policy.enforce == Enforce::error && !batch.by_lock_fields && target.is_alone &&
           batch.shapes->next == nullptr && batch.frozen == NIL && !may_be_written_again(target) &&
           are_compared_by_sql(batch) && !IsolationUsesXactSnapshot() &&
           check_enable_rls(target.relid(), InvalidOid, true) != RLS_ENABLED;
}

}  // namespace

bool
write_at_once(Batch *batch, OnConflict on_conflict, Operation operation)
{
    if (!can_write_at_once(*batch, on_conflict))
        return false;

    MemoryContext old = MemoryContextSwitchTo(batch->context);
    Shape *shape = batch->shapes;

    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = batch->order[i];
        row->version = row->expected[0];
        *shape->rows_end = row;
        shape->rows_end = &row->next_of_shape;
    }
    const bool done = write_statement(batch, *shape, operation, Find::by_version, true);
    if (!done) {
        shape->rows = nullptr;
        shape->rows_end = &shape->rows;
    }
    MemoryContextSwitchTo(old);
    return done;
}

}  // namespace occ
