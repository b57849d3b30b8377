/* The third step of a set function: write what was verified.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "batch_query.hpp"

namespace occ {

namespace {

/* Rows that are being written. */
struct Writing {
    Batch *batch;
    RowStatus done;
};

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

/* The columns of a shape that are set, in the order of its values. */
int
set_columns(const Shape &shape, GivenColumn *columns)
{
    int count = 0;

    for (int i = 0; i < shape.given_count; i++) {
        if (shape.given[i].frozen < 0)
            columns[count++] = shape.given[i];
    }
    return count;
}

char *
update_query(const Batch &batch, const GivenColumn *columns, int count, bool by_tid)
{
    const Target &target = batch.target;
    const char *separator = "";
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "UPDATE %s AS t SET ", table_in_sql(batch));
    if (target.guarded) {
        appendStringInfo(&sql, "%s = i.version", quote_identifier(NameStr(target.version_column)));
        separator = ", ";
    }
    for (int i = 0; i < count; i++) {
        appendStringInfo(&sql, "%s%s = %s.c%d", separator, column_in_sql(columns[i].column),
                         batch.all_given != nullptr ? "c" : "i", i + 1);
        separator = ", ";
    }
    appendStringInfo(&sql, " FROM occ_rows AS i%s WHERE ",
                     batch.all_given != nullptr && count > 0 ? ", occ_changes AS c" : "");
    append_row_condition(&sql, batch, by_tid);
    appendStringInfoString(&sql, " RETURNING i.number");
    if (target.guarded)
        appendStringInfo(&sql, ", t.%s", quote_identifier(NameStr(target.version_column)));
    return sql.data;
}

char *
delete_query(const Batch &batch, bool by_tid)
{
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "DELETE FROM %s AS t USING occ_rows AS i WHERE ", table_in_sql(batch));
    append_row_condition(&sql, batch, by_tid);
    appendStringInfoString(&sql, " RETURNING i.number");
    return sql.data;
}

/* Take the version that a query returns as its second column. */
void
take_version(const Batch &batch, BatchRow *row, TupleTableSlot *slot)
{
    Form_pg_attribute column = TupleDescAttr(slot->tts_tupleDescriptor, 1);
    MemoryContext old = MemoryContextSwitchTo(batch.context);

    row->version.isnull = slot->tts_isnull[1];
    if (!row->version.isnull)
        row->version.datum = datumCopy(slot->tts_values[1], column->attbyval, column->attlen);
    MemoryContextSwitchTo(old);
}

extern "C" void
occ_take_written_row(void *argument, TupleTableSlot *slot)
{
    const auto *writing = static_cast<Writing *>(argument);
    const Batch &batch = *writing->batch;

    slot_getallattrs(slot);
    BatchRow *row = &batch.rows[DatumGetInt64(slot->tts_values[0])];
    row->status = writing->done;
    row->version.isnull = true;
    if (slot->tts_tupleDescriptor->natts > 1)
        take_version(batch, row, slot);
}

/*
 * Has the table triggers that run after what the query returns, and may write
 * to the same rows again?  Those of foreign keys do not.
 */
bool
has_after_triggers(Relation relation)
{
    const TriggerDesc *triggers = relation->trigdesc;

    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (!trigger.tgisinternal && TRIGGER_FOR_AFTER(trigger.tgtype) &&
            TRIGGER_FOR_UPDATE(trigger.tgtype))
            return true;
    }
    return false;
}

extern "C" void
occ_take_version(void *argument, TupleTableSlot *slot)
{
    const auto *batch = static_cast<Batch *>(argument);

    slot_getallattrs(slot);
    take_version(*batch, &batch->rows[DatumGetInt64(slot->tts_values[0])], slot);
}

/* Read the versions of the rows of a shape again, after all triggers. */
void
read_versions(Batch *batch, const RowsRelation &rows, const QueryParameters &parameters)
{
    StringInfoData sql;
    RowReceiver receiver;

    initStringInfo(&sql);
    appendStringInfo(&sql, "SELECT i.number, t.%s FROM occ_rows AS i JOIN %s AS t ON ",
                     quote_identifier(NameStr(batch->target.version_column)), table_in_sql(*batch));
    append_key_condition(&sql, *batch);
    init_receiver(&receiver, CheckedQuery::Kind::none, occ_take_version, batch);
    const NamedRows inputs[] = {rows.named()};
    run_prepared(sql.data, inputs, parameters, &receiver);
}

/* The one row of occ_changes: what all rows are set to. */
NamedRows
changes_relation(const Batch &batch, const Shape &shape, int set_count)
{
    TupleDesc descriptor = CreateTemplateTupleDesc(set_count);
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * shape.given_count));
    auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * shape.given_count));
    Tuplestorestate *row = tuplestore_begin_heap(false, false, work_mem);
    int count = 0;

    for (int i = 0; i < shape.given_count; i++) {
        Form_pg_attribute column = shape.given[i].column;
        if (shape.given[i].frozen >= 0)
            continue;
        values[count] = batch.all_given[i].datum;
        nulls[count++] = batch.all_given[i].isnull;
        TupleDescInitEntry(descriptor, static_cast<AttrNumber>(count), psprintf("c%d", count),
                           column->atttypid, column->atttypmod, 0);
        TupleDescInitEntryCollation(descriptor, static_cast<AttrNumber>(count),
                                    column->attcollation);
    }
    tuplestore_putvalues(row, descriptor, values, nulls);
    return {"occ_changes", descriptor, row, 1};
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

/* Write the rows of one shape with one statement. */
void
write_shape(Batch *batch, const Shape &shape, Write write)
{
    const Target &target = batch->target;
    auto *columns =
        static_cast<GivenColumn *>(palloc(sizeof(GivenColumn) * (shape.given_count + 1)));
    auto *added = static_cast<Value *>(palloc(sizeof(Value) * (shape.given_count + 2)));
    const int set_count = set_columns(shape, columns);
    Writing writing = {batch, write == Write::remove ? RowStatus::deleted : RowStatus::updated};
    const bool sets_version = write != Write::remove && target.guarded;
    const bool sets_own_values = batch->all_given == nullptr; /* each row has its own */
    /* Triggers of what was written before may have moved a row. */
    const bool by_tid = batch->by_tid && &shape == first_shape(*batch);
    RowReceiver receiver;
    std::uint64_t count = 0;

    if (write != Write::remove && !sets_version && set_count == 0)
        return; /* nothing is given but columns that can't be set */

    RowsRelation rows(*batch, int{by_tid} + int{sets_version} + (sets_own_values ? set_count : 0));
    if (by_tid)
        rows.describe_column("tid", TIDOID, -1, InvalidOid);
    if (sets_version)
        rows.describe_column("version", target.version.type, target.version.typmod, InvalidOid);
    for (int i = 0; i < set_count && sets_own_values; i++)
        rows.describe_column(psprintf("c%d", i + 1), columns[i].column->atttypid,
                             columns[i].column->atttypmod, columns[i].column->attcollation);
    for (const BatchRow *row = shape.rows; row != nullptr; row = row->next_of_shape) {
        int place = 0;
        CHECK_FOR_INTERRUPTS();
        if (by_tid)
            added[place++] = {PointerGetDatum(&row->tid), false};
        if (sets_version)
            added[place++] = row->version;
        for (int i = 0; i < shape.given_count && sets_own_values; i++) {
            if (shape.given[i].frozen < 0)
                added[place++] = row->given[i];
        }
        rows.add_row(static_cast<std::uint64_t>(row - batch->rows), *row, added);
        count++;
    }

    const BatchRow *next = shape.rows;
    const QueryParameters parameters = key_parameters(*batch, count, [&]() {
        const BatchRow *row = next;
        next = row != nullptr ? row->next_of_shape : nullptr;
        return row;
    });
    init_receiver(&receiver,
                  write == Write::touch ? CheckedQuery::Kind::touch : CheckedQuery::Kind::write,
                  occ_take_written_row, &writing);
    NamedRows inputs[2] = {rows.named()};
    std::size_t input_count = 1;
    if (!sets_own_values && set_count > 0)
        inputs[input_count++] = changes_relation(*batch, shape, set_count);
    run_prepared(write == Write::remove ? delete_query(*batch, by_tid)
                                        : update_query(*batch, columns, set_count, by_tid),
                 {inputs, input_count}, parameters, &receiver);
    if (sets_version && has_after_triggers(target.relation))
        read_versions(batch, rows, parameters);
    for (std::size_t i = 0; i < input_count; i++)
        tuplestore_end(inputs[i].rows);
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

RowLock
lock_for_update(const Batch &batch)
{
    Bitmapset *columns = nullptr;

    for (const Shape *shape = batch.shapes; shape != nullptr; shape = shape->next) {
        for (int i = 0; i < shape->given_count; i++) {
            if (shape->given[i].frozen < 0)
                columns = bms_add_member(columns, shape->given[i].column->attnum);
        }
    }
    return changes_key(batch.target, columns) ? RowLock::update : RowLock::no_key_update;
}

bool
write_rows(Batch *batch, Write write)
{
    MemoryContext old = MemoryContextSwitchTo(batch->context);

    collect_by_shape(batch);
    for (const Shape *shape = batch->shapes; shape != nullptr; shape = shape->next) {
        if (shape->rows != nullptr)
            write_shape(batch, *shape, write);
    }
    const bool complete = write != Write::remove || !find_undeletable(batch);
    MemoryContextSwitchTo(old);
    return complete;
}

}  // namespace occ
