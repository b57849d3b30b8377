/* occ.snapshot(): a row as JSON that reads back as the same row. */
#include "pg.hpp"

#include "exact_json.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_snapshot);
}

/*
 * occ.snapshot(record) RETURNS jsonb
 *
 * Strict.  Whose row it is does not matter: of a table, a view or a subquery.
 * What the columns' types need is looked up for the first row of a query.
 * Errors: those of write_exactly().
 */
Datum
occ_snapshot(PG_FUNCTION_ARGS)
{
    using namespace occ;

    FmgrInfo *function = fcinfo->flinfo;
    if (function->fn_extra == nullptr) {
        MemoryContext old = MemoryContextSwitchTo(function->fn_mcxt);
        function->fn_extra = make_record_writer();
        MemoryContextSwitchTo(old);
    }
    PG_RETURN_JSONB_P(
        write_row(static_cast<ExactWriter *>(function->fn_extra), PG_GETARG_HEAPTUPLEHEADER(0)));
}
