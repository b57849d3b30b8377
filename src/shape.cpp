/* The sets of columns that a batch's elements give.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"

namespace occ {

namespace {

struct ShapesOfHash {
    uint32 hash;
    Shape *first;
};

bool
is_frozen(Form_pg_attribute column)
{
    return column->attgenerated != '\0' || column->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
}

bool
same_columns(const Shape &shape, const GivenColumn *given, int count)
{
    bool same = shape.given_count == count;

    for (int i = 0; same && i < count; i++)
        same = shape.given[i].column == given[i].column;
    return same;
}

}  // namespace

Shape *
shape_of(Batch *batch, const GivenColumn *given, int count, Shape *guess)
{
    uint32 hash = 0;
    bool found;

    if (guess != nullptr && same_columns(*guess, given, count))
        return guess;
    if (batch->shapes_by_hash == nullptr) {
        HASHCTL control = {};
        control.keysize = sizeof(uint32);
        control.entrysize = sizeof(ShapesOfHash);
        control.hcxt = batch->context;
        batch->shapes_by_hash =
            hash_create("occ_lock shapes", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    for (int i = 0; i < count; i++)
        hash = hash_combine(hash, static_cast<uint32>(given[i].column->attnum));
    auto *entry =
        static_cast<ShapesOfHash *>(hash_search(batch->shapes_by_hash, &hash, HASH_ENTER, &found));
    if (!found)
        entry->first = nullptr;
    for (Shape *shape = entry->first; shape != nullptr; shape = shape->next_of_hash) {
        if (same_columns(*shape, given, count))
            return shape;
    }

    auto *shape = static_cast<Shape *>(palloc0(sizeof(Shape)));
    shape->given_count = count;
    shape->given = static_cast<GivenColumn *>(palloc(sizeof(GivenColumn) * (count + 1)));
    std::copy(given, given + count, shape->given);
    shape->rows_end = &shape->rows;
    for (int i = 0; i < count; i++) {
        GivenColumn *column = &shape->given[i];
        column->frozen = -1;
        column->equals = nullptr;
        if (is_frozen(column->column)) {
            column->equals = equality_of(column->column);
            batch->frozen = list_append_unique_int(batch->frozen, column->column->attnum);
            for (int k = 0; k < list_length(batch->frozen); k++) {
                if (list_nth_int(batch->frozen, k) == column->column->attnum)
                    column->frozen = k;
            }
        }
    }
    shape->next_of_hash = entry->first;
    entry->first = shape;
    *batch->shapes_end = shape;
    batch->shapes_end = &shape->next;
    return shape;
}

}  // namespace occ
