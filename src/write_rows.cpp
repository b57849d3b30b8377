/* The third step of a set function: write what was verified.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "batch_query.hpp"
#include "settings.hpp"

namespace occ {

namespace {

/* Rows that are being written. */
struct Writing {
    Batch *batch;
    RowStatus done;
    bool unmoved; /* some row came back with the version that was sent */
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

/*
 * The first statement sends the version that was verified, and the guard
 * verifies it once more.  Later ones don't: triggers of the earlier ones may
 * have moved it, and nobody else can.
 */
char *
update_query(const Batch &batch, const GivenColumn *columns, int count, bool is_first)
{
    const Target &target = batch.target;
    const char *separator = "";
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "UPDATE %s AS t SET ", table_in_sql(batch));
    if (target.guarded) {
        const char *version = quote_identifier(NameStr(target.version_column));
        appendStringInfo(&sql, "%s = %s.%s", version, is_first ? "i" : "t",
                         is_first ? "version" : version);
        separator = ", ";
    }
    for (int i = 0; i < count; i++) {
        appendStringInfo(&sql, "%s%s = %s.c%d", separator, column_in_sql(columns[i].column),
                         batch.all_given != nullptr ? "c" : "i", i + 1);
        separator = ", ";
    }
    appendStringInfo(&sql, " FROM occ_rows AS i%s WHERE ",
                     batch.all_given != nullptr && count > 0 ? ", occ_changes AS c" : "");
    append_row_condition(&sql, batch, is_first && batch.by_tid);
    appendStringInfoString(&sql, " RETURNING i.number");
    if (target.guarded)
        appendStringInfo(&sql, ", t.%s", quote_identifier(NameStr(target.version_column)));
    return sql.data;
}

char *
delete_query(const Batch &batch, bool is_first)
{
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "DELETE FROM %s AS t USING occ_rows AS i WHERE ", table_in_sql(batch));
    append_row_condition(&sql, batch, is_first && batch.by_tid);
    appendStringInfoString(&sql, " RETURNING i.number");
    return sql.data;
}

/* Is the version that comes back the one that was sent?  Then no guard has moved it. */
bool
is_unmoved(const Batch &batch, const BatchRow &row, const Value &sent)
{
    const Form_pg_attribute column =
        TupleDescAttr(batch.target.descriptor(), batch.target.version.attnum - 1);

    if (row.version.isnull || sent.isnull)
        return row.version.isnull && sent.isnull;
    return datum_image_eq(row.version.datum, sent.datum, column->attbyval, column->attlen);
}

extern "C" void
occ_take_written_row(void *argument, TupleTableSlot *slot)
{
    auto *writing = static_cast<Writing *>(argument);
    const Batch &batch = *writing->batch;

    slot_getallattrs(slot);
    BatchRow *row = &batch.rows[DatumGetInt64(slot->tts_values[0])];
    const Value sent = row->version;
    row->status = writing->done;
    row->version.isnull = true;
    if (slot->tts_tupleDescriptor->natts > 1) {
        take_version(batch, row, slot);
        writing->unmoved = writing->unmoved || is_unmoved(batch, *row, sent);
    }
}

/*
 * A version that has not moved lets the next stale write pass.  It may stay
 * where it is if nothing but ignored columns changed, but then all tables of
 * the tree must have their guard.
 */
void
refuse_unmoved(const Target &target, Write write)
{
    if (settings::bypass || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA ||
        (write == Write::update && target.has_ignore && is_guarded_everywhere(target)))
        return;
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("a row of \"%s\" was updated, and its version has not moved",
                   RelationGetRelationName(target.relation)),
            errdetail("No guard has fired for the row, or a later trigger has put its version "
                      "back."),
            errhint("Call occ.enable(%s) to guard the table with all its partitions and children.",
                    name_literal(target.relid())),
            errtable(target.relation));
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
    Writing writing = {batch, write == Write::remove ? RowStatus::deleted : RowStatus::updated,
                       false};
    const bool sets_version = write != Write::remove && target.guarded;
    const bool sets_own_values = batch->all_given == nullptr; /* each row has its own */
    const bool is_first = &shape == first_shape(*batch);
    const bool by_tid = is_first && batch->by_tid;
    const bool sends_version = is_first && sets_version;
    RowReceiver receiver;
    std::uint64_t count = 0;

    if (write != Write::remove && !sets_version && set_count == 0)
        return; /* nothing is given but columns that can't be set */

    RowsRelation rows(*batch, int{by_tid} + int{sends_version} + (sets_own_values ? set_count : 0));
    if (by_tid)
        rows.describe_column("tid", TIDOID, -1, InvalidOid);
    if (sends_version)
        rows.describe_column("version", target.version.type, target.version.typmod, InvalidOid);
    for (int i = 0; i < set_count && sets_own_values; i++)
        rows.describe_column(psprintf("c%d", i + 1), columns[i].column->atttypid,
                             columns[i].column->atttypmod, columns[i].column->attcollation);
    for (const BatchRow *row = shape.rows; row != nullptr; row = row->next_of_shape) {
        int place = 0;
        CHECK_FOR_INTERRUPTS();
        if (by_tid)
            added[place++] = {PointerGetDatum(&row->tid), false};
        if (sends_version)
            added[place++] = row->version;
        for (int i = 0; i < shape.given_count && sets_own_values; i++) {
            if (shape.given[i].frozen < 0)
                added[place++] = row->given[i];
        }
        rows.add_row(static_cast<std::uint64_t>(row - batch->rows), row->key, added);
        count++;
    }

    const BatchRow *next = shape.rows;
    const QueryParameters parameters = key_parameters(*batch, count, [&]() -> const Value * {
        const BatchRow *row = next;
        next = row != nullptr ? row->next_of_shape : nullptr;
        return row != nullptr ? row->key : nullptr;
    });
    init_receiver(&receiver,
                  {write == Write::touch ? CheckedQuery::Kind::touch : CheckedQuery::Kind::write,
                   target.relid(), target.version_column},
                  occ_take_written_row, &writing);
    NamedRows inputs[2] = {rows.named()};
    std::size_t input_count = 1;
    if (!sets_own_values && set_count > 0)
        inputs[input_count++] = changes_relation(*batch, shape, set_count);
    run_prepared(write == Write::remove ? delete_query(*batch, is_first)
                                        : update_query(*batch, columns, set_count, is_first),
                 {inputs, input_count}, parameters, &receiver);
    if (writing.unmoved)
        refuse_unmoved(target, write);
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

    if (batch.target.guarded)
        columns = bms_make_singleton(batch.target.version.attnum);
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
    if (batch->target.guarded)
        read_versions(batch, write);
    const bool complete = write != Write::remove || !find_undeletable(batch);
    MemoryContextSwitchTo(old);
    return complete;
}

}  // namespace occ
