/* occ.check(): lock rows and verify that they are as they were read. */
#include "pg.hpp"

#include "batch.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_check);
}

/*
 * occ.check(relation regclass, expected jsonb, lock text)
 *     RETURNS TABLE (key jsonb, status text, version text)
 *
 * lock is "update", "no key update" or "share", and is held until the
 * transaction ends.  Not strict: lock may be null.  Errors: those of
 * begin_batch(), read_rows() and lock_rows(); PT409.
 */
Datum
occ_check(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const RowLock lock = row_lock_argument(fcinfo, 2);
    Jsonb *expected = json_argument(fcinfo, 1, "expected");
    Batch *batch = begin_batch(fcinfo, "expected", RowShareLock, nullptr);

    read_rows(batch, expected);
    lock_rows(batch, lock);
    refuse_conflicts(batch, OnConflict::error, false);
    return return_rows(fcinfo, batch);
}
