/* A row that was passed to a function as a record, and the columns that its type says it has. */
#ifndef OCC_RECORD_HPP
#define OCC_RECORD_HPP

#include "pg.hpp"

namespace occ {

/*
 * A row, which may be older than its type: what it does not have yet is read
 * as the column's missing value.
 */
struct Row {
    HeapTupleData tuple;
    TupleDesc descriptor; /* to be released */
    Oid type;
    int32 typmod;

    Datum get(AttrNumber attnum, bool *isnull)
    {
        return heap_getattr(&tuple, attnum, descriptor, isnull);
    }

    Form_pg_attribute column(AttrNumber attnum) const
    {
        return TupleDescAttr(descriptor, attnum - 1);
    }
};

inline Row
row_of(HeapTupleHeader header)
{
    Row row = {};

    row.type = HeapTupleHeaderGetTypeId(header);
    row.typmod = HeapTupleHeaderGetTypMod(header);
    row.descriptor = lookup_rowtype_tupdesc(row.type, row.typmod);
    row.tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    row.tuple.t_data = header;
    return row;
}

}  // namespace occ

#endif
