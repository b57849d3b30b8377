/*
 * One fixed-width attribute of a heap tuple, read and overwritten where it lies.
 *
 * The guard reads a version twice a row and mostly writes one.  Deforming the
 * tuple and forming it anew for that costs more than the whole rest of it.
 */
#ifndef OCC_ATTRIBUTE_HPP
#define OCC_ATTRIBUTE_HPP

#include "pg.hpp"

namespace occ {

struct Attribute {
    AttrNumber attnum;
    int16 length;
    bool by_value;
    int fixed_offset; /* in tuples without NULLs; -1 if that varies */
};

/* Error: none.  The attribute's type must be of fixed width. */
inline Attribute
describe_attribute(TupleDesc descriptor, AttrNumber attnum)
{
    Form_pg_attribute target = TupleDescAttr(descriptor, attnum - 1);
    Size offset = 0;
    bool fixed = true;

    Assert(target->attlen > 0);
    for (int i = 0; i < attnum - 1 && fixed; i++) {
        Form_pg_attribute earlier = TupleDescAttr(descriptor, i);
        fixed = earlier->attlen > 0;
        offset = att_align_nominal(offset, earlier->attalign) + earlier->attlen;
    }
    offset = att_align_nominal(offset, target->attalign);
    return {attnum, target->attlen, target->attbyval, fixed ? static_cast<int>(offset) : -1};
}

/* Where the attribute's value lies, or null if it is NULL or not stored in this tuple. */
inline char *
attribute_address(HeapTuple tuple, TupleDesc descriptor, const Attribute &attribute)
{
    HeapTupleHeader header = tuple->t_data;
    char *data = reinterpret_cast<char *>(header) + header->t_hoff;
    const bool has_nulls = HeapTupleHasNulls(tuple);
    Size offset = 0;

    if (HeapTupleHeaderGetNatts(header) < attribute.attnum ||
        (has_nulls && att_isnull(attribute.attnum - 1, header->t_bits)))
        return nullptr;
    if (!has_nulls && attribute.fixed_offset >= 0)
        return data + attribute.fixed_offset;
    for (int i = 0; i < attribute.attnum - 1; i++) {
        Form_pg_attribute earlier = TupleDescAttr(descriptor, i);
        if (has_nulls && att_isnull(i, header->t_bits))
            continue;
        offset = att_align_pointer(offset, earlier->attalign, earlier->attlen, data + offset);
        offset = att_addlength_pointer(offset, earlier->attlen, data + offset);
    }
    return data +
           att_align_nominal(offset, TupleDescAttr(descriptor, attribute.attnum - 1)->attalign);
}

/*
 * The value at an attribute's address; one by reference points into the tuple.
 * Without an address it is NULL, or the default of a column that was added
 * after the tuple was written.
 */
inline Datum
read_attribute(HeapTuple tuple, TupleDesc descriptor, const Attribute &attribute,
               const char *address, bool *isnull)
{
    *isnull = false;
    if (address == nullptr)
        return heap_getattr(tuple, attribute.attnum, descriptor, isnull);
    return fetch_att(address, attribute.by_value, attribute.length);
}

/* Are two values of the attribute the same, bit by bit? */
inline bool
same_value(const Attribute &attribute, Datum one, Datum other)
{
    if (attribute.by_value)
        return one == other;
    return memcmp(DatumGetPointer(one), DatumGetPointer(other), attribute.length) == 0;
}

/*
 * Overwrite the attribute at that address in a row that a BEFORE trigger was
 * given, in the slot as well as in its tuple.  Returns false, and does nothing,
 * unless the tuple is the slot's own and holds a value there.
 *
 * An earlier trigger or a WHEN clause may have deformed the slot already: what
 * it then keeps of a by-value attribute is a copy, which RETURNING and the
 * indexes would take for the row's value.
 */
inline bool
overwrite_attribute(TupleTableSlot *slot, HeapTuple tuple, const Attribute &attribute,
                    char *address, Datum value)
{
    const bool holds_heap_tuple = TTS_IS_BUFFERTUPLE(slot) || TTS_IS_HEAPTUPLE(slot);

    if (address == nullptr || !holds_heap_tuple || !TTS_SHOULDFREE(slot) ||
        reinterpret_cast<HeapTupleTableSlot *>(slot)->tuple != tuple)
        return false;
    if (!attribute.by_value) {
        memcpy(address, DatumGetPointer(value), attribute.length);
        return true;
    }
    store_att_byval(address, value, attribute.length);
    if (slot->tts_nvalid >= attribute.attnum)
        slot->tts_values[attribute.attnum - 1] = value;
    return true;
}

}  // namespace occ

#endif
