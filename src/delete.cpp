/* occ.delete(): delete rows that are as they were read. */
#include "pg.hpp"

#include "batch.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_delete);
}

/*
 * occ.delete(relation regclass, expected jsonb, on_conflict text)
 *     RETURNS TABLE (key jsonb, status text, version text)
 *
 * Not strict: on_conflict may be null.  Errors: those of begin_batch(),
 * read_rows() and lock_rows(); PT409; what the DELETE raises.
 */
Datum
occ_delete(PG_FUNCTION_ARGS)
{
    using namespace occ;

    const OnConflict on_conflict = on_conflict_argument(fcinfo, 2);
    Jsonb *expected = json_argument(fcinfo, 1, "expected");
    Batch *batch = begin_batch(fcinfo, "expected", RowExclusiveLock, nullptr);

    read_rows(batch, expected);
    lock_rows(batch, RowLock::update);
    refuse_conflicts(batch, on_conflict, true);
    if (!write_rows(batch, Operation::remove))
        refuse_conflicts(batch, on_conflict, true);
    return return_rows(fcinfo, batch);
}
