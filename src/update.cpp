/* occ.update(), occ.update_safely(), occ.touch(): checked updates of many rows. */
#include "pg.hpp"

#include "batch.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_update);
PG_FUNCTION_INFO_V1(occ_update_safely);
PG_FUNCTION_INFO_V1(occ_touch);
}

namespace occ {

namespace {

/* The steps after reading. */
Datum
update_rows(FunctionCallInfo fcinfo, Batch *batch, OnConflict on_conflict, Operation operation)
{
    if (!write_at_once(batch, on_conflict, operation)) {
        lock_rows(batch, lock_for_update(*batch));
        refuse_conflicts(batch, on_conflict, true);
        write_rows(batch, operation);
    }
    return return_rows(fcinfo, batch);
}

}  // namespace

}  // namespace occ

/*
 * occ.update(relation regclass, rows jsonb, on_conflict text)
 *     RETURNS TABLE (key jsonb, status text, version text)
 *
 * Each element has the key, the version that was read, and the columns to set.
 * Elements with the same columns are one UPDATE.  Not strict: on_conflict may
 * be null.  Errors: those of begin_batch(), read_rows() and lock_rows(); PT409;
 * what the UPDATE raises.
 */
Datum
occ_update(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const OnConflict on_conflict = on_conflict_argument(fcinfo, 2);
    Jsonb *rows = json_argument(fcinfo, 1, "rows");
    Batch *batch = begin_batch(fcinfo, "rows", RowExclusiveLock, nullptr);

    batch->takes_values = true;
    read_rows(batch, rows);
    return update_rows(fcinfo, batch, on_conflict, Operation::update);
}

/*
 * occ.update_safely(relation regclass, snapshot jsonb, changes jsonb,
 *     lock_fields name[], on_conflict text)
 *     RETURNS TABLE (key jsonb, status text, version text)
 *
 * Sets the columns in changes, in all rows of the snapshot, if the version or
 * the lock fields are as in the snapshot.  Not strict: lock_fields and
 * on_conflict may be null.  Errors: as for occ.update().
 */
Datum
occ_update_safely(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const OnConflict on_conflict = on_conflict_argument(fcinfo, 4);
    Jsonb *snapshot = json_argument(fcinfo, 1, "snapshot");
    Jsonb *changes = json_argument(fcinfo, 2, "changes");
    Batch *batch = begin_batch(fcinfo, "snapshot", RowExclusiveLock,
                               PG_ARGISNULL(3) ? nullptr : PG_GETARG_ARRAYTYPE_P(3));

    read_changes(batch, changes);
    read_rows(batch, snapshot);
    return update_rows(fcinfo, batch, on_conflict, Operation::update);
}

/*
 * occ.touch(relation regclass, expected jsonb, on_conflict text)
 *     RETURNS TABLE (key jsonb, status text, version text)
 *
 * Moves the version and nothing else.  Not strict, errors as for occ.update().
 */
Datum
occ_touch(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const OnConflict on_conflict = on_conflict_argument(fcinfo, 2);
    Jsonb *expected = json_argument(fcinfo, 1, "expected");
    Batch *batch = begin_batch(fcinfo, "expected", RowExclusiveLock, nullptr);

    read_rows(batch, expected);
    return update_rows(fcinfo, batch, on_conflict, Operation::touch);
}
