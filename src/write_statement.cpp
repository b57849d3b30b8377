/* One statement that writes rows of a batch: see write_statement.hpp. */
#include "pg.hpp"

#include "batch_query.hpp"
#include "settings.hpp"
#include "version_types.hpp"
#include "write_statement.hpp"

namespace occ {

namespace {

/* One statement that writes rows of one shape. */
struct Writing {
    Batch *batch;
    Operation operation;
    Find find;
    bool sends_version; /* the one that is expected comes with the row */
    RowStatus done;
    const BatchRow *ambiguous; /* a key by which a second row was found */
    List *unmoved;             /* tables of rows that came back with the version that was sent */
};

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

/* What an UPDATE returns of a row: its number, its version, and its key if that will be needed. */
void
append_returning(StringInfo sql, List **types, const Batch &batch)
{
    appendStringInfoString(sql, " RETURNING ");
    append_result(sql, types, "i.number", INT8OID);
    if (batch.target.guarded)
        append_result(sql, types, batch.target.version_attribute());
    for (int i = 0; batch.rereads && i < batch.target.key_count; i++)
        append_result(sql, types, batch.target.key[i].column);
}

/*
 * The version is stated as it is stored where that is as good as the one that
 * was verified: the condition compares it, or a trigger of ours has written to
 * the row, which keeps the version that it has by now.
 */
char *
update_query(const Writing &writing, const GivenColumn *columns, int count, List **types)
{
    const Batch &batch = *writing.batch;
    const char *separator = "";
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "UPDATE %s AS t SET ", table_in_sql(batch));
    if (batch.target.guarded) {
        const char *version = quote_identifier(NameStr(batch.target.version_column));
        const bool states_sent = writing.sends_version && writing.find != Find::by_version;
        appendStringInfo(&sql, "%s = %s.%s", version, states_sent ? "i" : "t",
                         states_sent ? "version" : version);
        separator = ", ";
    }
    for (int i = 0; i < count; i++) {
        appendStringInfo(&sql, "%s%s = %s.c%d", separator, column_in_sql(columns[i].column),
                         batch.all_given != nullptr ? "c" : "i", i + 1);
        separator = ", ";
    }
    appendStringInfo(&sql, " FROM occ_rows AS i%s WHERE ",
                     batch.all_given != nullptr && count > 0 ? ", occ_changes AS c" : "");
    append_row_condition(&sql, batch, writing.find);
    append_returning(&sql, types, batch);
    return sql.data;
}

char *
delete_query(const Writing &writing, List **types)
{
    StringInfoData sql;

    initStringInfo(&sql);
    appendStringInfo(&sql, "DELETE FROM %s AS t USING occ_rows AS i WHERE ",
                     table_in_sql(*writing.batch));
    append_row_condition(&sql, *writing.batch, writing.find);
    appendStringInfoString(&sql, " RETURNING ");
    append_result(&sql, types, "i.number", INT8OID);
    return sql.data;
}

/*
 * Is the version that comes back the one that was sent, or an infinite one,
 * which is no successor of any?  Then no guard has moved it.
 */
bool
is_unmoved(const Batch &batch, const BatchRow &row, const Value &sent)
{
    Form_pg_attribute column = batch.target.version_attribute();

    if (!row.version.isnull && !is_present(batch.target.version, row.version.datum))
        return true;
    if (row.version.isnull || sent.isnull)
        return row.version.isnull && sent.isnull;
    return datum_image_eq(row.version.datum, sent.datum, column->attbyval, column->attlen);
}

/* The key that a row has now, copied from behind its version. */
const Value *
take_key(const Batch &batch, TupleTableSlot *slot)
{
    auto *key = static_cast<Value *>(
        MemoryContextAlloc(batch.context, sizeof(Value) * batch.target.key_count));
    MemoryContext old = MemoryContextSwitchTo(batch.context);

    for (int i = 0; i < batch.target.key_count; i++)
        key[i] = copy_value(batch.target.key[i].column, slot->tts_values[2 + i],
                            slot->tts_isnull[2 + i]);
    MemoryContextSwitchTo(old);
    return key;
}

extern "C" void
occ_take_written_row(void *argument, TupleTableSlot *slot)
{
    auto *writing = static_cast<Writing *>(argument);
    const Batch &batch = *writing->batch;

    slot_getallattrs(slot);
    BatchRow *row = &batch.rows[DatumGetInt64(slot->tts_values[0])];
    if (row->status == writing->done) {
        writing->ambiguous = row;
        return;
    }
    const Value sent = row->version;
    row->status = writing->done;
    row->version.isnull = true;
    if (writing->operation == Operation::remove || !batch.target.guarded)
        return;
    take_version(batch, row, slot);
    if (batch.rereads)
        row->now_key = take_key(batch, slot);
    if (is_unmoved(batch, *row, sent)) {
        MemoryContext old = MemoryContextSwitchTo(batch.context);
        writing->unmoved =
            list_append_unique_oid(writing->unmoved, batch.by_tid ? row->table : InvalidOid);
        MemoryContextSwitchTo(old);
    }
}

/* Rows found by version that were not written are in conflict. */
extern "C" void
occ_refuse_rows_left_out(void *argument)
{
    const auto *writing = static_cast<Writing *>(argument);
    Batch *batch = writing->batch;
    bool complete = true;

    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = &batch->rows[i];
        if (row->status == writing->done)
            continue;
        row->version.isnull = true;
        complete = false;
    }
    if (complete)
        return;
    find_conflicts(batch);
    refuse_conflicts(batch, OnConflict::error, true);
}

/*
 * A version that has not moved lets the next stale write pass.  It may stay
 * where it is if nothing but ignored columns changed, but then the row's table
 * must have its guard.
 */
void
refuse_unmoved(const Writing &writing)
{
    const Target &target = writing.batch->target;
    bool excused = settings::bypass || SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
    ListCell *cell;

    if (!excused && writing.operation == Operation::update && target.has_ignore) {
        excused = true;
        foreach (cell, writing.unmoved)
            excused = excused && (OidIsValid(lfirst_oid(cell)) ? has_guard(target, lfirst_oid(cell))
                                                               : is_guarded_everywhere(target));
    }
    if (!excused)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("a row of \"%s\" was updated, and its version has not moved",
                       RelationGetRelationName(target.relation)),
                errdetail("No guard has fired for the row, or a later trigger has put its version "
                          "back."),
                errhint("Call occ.enable(%s) to guard the table with all its partitions and "
                        "children.",
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

/* The rows that a statement is to write, as SQL knows them.  Returns their number. */
std::uint64_t
add_rows(RowsRelation *rows, const Writing &writing, const Shape &shape, const GivenColumn *columns,
         int set_count)
{
    const Batch &batch = *writing.batch;
    const bool sets_own_values = batch.all_given == nullptr; /* each row has its own */
    auto *added = static_cast<Value *>(palloc(sizeof(Value) * (shape.given_count + 3)));
    std::uint64_t count = 0;

    if (has_place(writing.find)) {
        rows->describe_column("table_oid", OIDOID, -1, InvalidOid);
        rows->describe_column("tid", TIDOID, -1, InvalidOid);
    }
    if (writing.sends_version)
        rows->describe_column("version", batch.target.version.type, batch.target.version.typmod,
                              InvalidOid);
    for (int i = 0; i < set_count && sets_own_values; i++)
        rows->describe_column(psprintf("c%d", i + 1), columns[i].column->atttypid,
                              columns[i].column->atttypmod, columns[i].column->attcollation);
    for (const BatchRow *row = shape.rows; row != nullptr; row = row->next_of_shape) {
        int place = 0;
        CHECK_FOR_INTERRUPTS();
        if (row->status == writing.done)
            continue;
        if (has_place(writing.find)) {
            added[place++] = {ObjectIdGetDatum(row->table), false};
            added[place++] = {PointerGetDatum(&row->tid), false};
        }
        if (writing.sends_version)
            added[place++] = row->version;
        for (int i = 0; i < shape.given_count && sets_own_values; i++) {
            if (shape.given[i].frozen < 0)
                added[place++] = row->given[i];
        }
        rows->add_row(static_cast<std::uint64_t>(row - batch.rows), row->key, added);
        count++;
    }
    return count;
}

}  // namespace

bool
write_statement(Batch *batch, const Shape &shape, Operation operation, Find find,
                bool sends_version)
{
    Writing writing = {batch, operation, find, sends_version, done_by(operation), nullptr, NIL};
    auto *columns =
        static_cast<GivenColumn *>(palloc(sizeof(GivenColumn) * (shape.given_count + 1)));
    const int set_count = set_columns(shape, columns);
    RowsRelation rows(*batch, (has_place(find) ? 2 : 0) + int{sends_version} +
                                  (batch->all_given == nullptr ? set_count : 0));
    const std::uint64_t count = add_rows(&rows, writing, shape, columns, set_count);
    const BatchRow *next = shape.rows;
    const QueryParameters parameters = key_parameters(*batch, count, [&]() -> const Value * {
        while (next != nullptr && next->status == writing.done)
            next = next->next_of_shape;
        const BatchRow *row = next;
        next = row != nullptr ? row->next_of_shape : nullptr;
        return row != nullptr ? row->key : nullptr;
    });
    const bool in_order = find == Find::by_version;
    NamedRows inputs[2] = {rows.named(in_order ? planned_in_order : planned_rows)};
    std::size_t input_count = 1;
    RowReceiver receiver;
    List *types = NIL;

    if (batch->all_given != nullptr && set_count > 0)
        inputs[input_count++] = changes_relation(*batch, shape, set_count);
    const char *sql = operation == Operation::remove
                          ? delete_query(writing, &types)
                          : update_query(writing, columns, set_count, &types);
    const auto kind =
        operation == Operation::touch ? CheckedQuery::Kind::touch : CheckedQuery::Kind::write;
    init_receiver(&receiver, {kind, batch->target.relid(), batch->target.version_column},
                  occ_take_written_row, &writing, in_order ? occ_refuse_rows_left_out : nullptr);
    expect_types(&receiver, batch->target.relation, types);
    const bool done = run_prepared(sql, {inputs, input_count}, parameters, &receiver,
                                   in_order ? RowOrder::of_input : RowOrder::any);
    if (writing.ambiguous != nullptr)
        raise_ambiguous(*batch, *writing.ambiguous);
    if (writing.unmoved != NIL)
        refuse_unmoved(writing);
    for (std::size_t i = 0; i < input_count; i++)
        tuplestore_end(inputs[i].rows);
    return done;
}

}  // namespace occ
