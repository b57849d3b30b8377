/* The third step of a set function: write what was verified.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "write_statement.hpp"

namespace occ {

namespace {

/* Sort the rows to write by their shape; within it they stay in the order of their keys. */
void
collect_by_shape(Batch *batch)
{
    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = batch->order[i];
        if (!row->to_write)
            continue;
        *row->shape->rows_end = row;
        row->shape->rows_end = &row->next_of_shape;
    }
}

/* The shape that is written first. */
const Shape *
first_shape(const Batch &batch)
{
    const Shape *shape = batch.shapes;

    while (shape != nullptr && shape->rows == nullptr)
        shape = shape->next;
    return shape;
}

/* Does a statement of that kind set anything? */
bool
sets_something(const Batch &batch, const Shape &shape, Operation operation)
{
    bool sets = operation == Operation::remove || batch.target.guarded;

    for (int i = 0; i < shape.given_count; i++)
        sets = sets || shape.given[i].frozen < 0;
    return sets;
}

/*
 * Write the rows of one shape.  Triggers of the shapes before may have moved
 * some: they are not where they were locked, and nobody else can have done it.
 */
void
write_shape(Batch *batch, const Shape &shape, Operation operation)
{
    const bool sets_version = operation != Operation::remove && batch->target.guarded;
    const bool is_first = &shape == first_shape(*batch);
    bool complete = true;

    if (!sets_something(*batch, shape, operation))
        return;
    if (!batch->by_tid) {
        write_statement(batch, shape, operation, Find::by_key, is_first && sets_version);
        return;
    }
    write_statement(batch, shape, operation, Find::by_place, sets_version);
    for (const BatchRow *row = shape.rows; row != nullptr; row = row->next_of_shape)
        complete = complete && row->status == done_by(operation);
    if (!is_first && !complete)
        write_statement(batch, shape, operation, Find::by_move, false);
}

/*
 * Who may see and lock a row may have no policy that lets him delete it.
 * Without row-level security, only a trigger can have left it there.
 */
bool
find_undeletable(Batch *batch)
{
    bool found = false;

    if (check_enable_rls(batch->target.relid(), InvalidOid, true) != RLS_ENABLED)
        return false;
    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = &batch->rows[i];
        if (!row->to_write || row->status == RowStatus::deleted)
            continue;
        row->status = RowStatus::missing;
        row->version.isnull = true;
        found = true;
    }
    return found;
}

}  // namespace

bool
write_rows(Batch *batch, Operation operation)
{
    MemoryContext old = MemoryContextSwitchTo(batch->context);

    collect_by_shape(batch);
    batch->rereads = operation != Operation::remove && may_be_written_again(batch->target);
    for (const Shape *shape = batch->shapes; shape != nullptr; shape = shape->next) {
        if (shape->rows != nullptr)
            write_shape(batch, *shape, operation);
    }
    if (batch->target.guarded)
        read_versions(batch, operation);
    const bool complete = operation != Operation::remove || !find_undeletable(batch);
    MemoryContextSwitchTo(old);
    return complete;
}

}  // namespace occ
