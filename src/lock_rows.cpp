/* The second step of a set function: lock and verify.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "batch_query.hpp"
#include "findings.hpp"
#include "version_types.hpp"

namespace occ {

namespace {

/* What was found while the rows came in. */
struct Locking {
    Batch *batch;
    bool locks;
    Size kept_bytes;                /* of what stale rows have */
    const BatchRow *ambiguous;      /* a key that several rows have */
    const BatchRow *changes_frozen; /* an element that sets a column that can't be set */
    Form_pg_attribute frozen_column;
};

const char *
locking_clause(RowLock lock)
{
    switch (lock) {
    case RowLock::update:
        return "FOR UPDATE";
    case RowLock::no_key_update:
        return "FOR NO KEY UPDATE";
    case RowLock::share:
        break;
    }
    return "FOR SHARE";
}

/* The version has a place of its own in what the query returns, unless it is what is compared. */
bool
selects_version(const Batch &batch)
{
    return batch.target.guarded && batch.by_lock_fields;
}

char *
lock_query(const Batch &batch, std::optional<RowLock> lock, List **types)
{
    StringInfoData sql;
    ListCell *cell;

    initStringInfo(&sql);
    appendStringInfoString(&sql, "SELECT ");
    append_result(&sql, types, "i.number", INT8OID);
    for (int i = 0; i < batch.compared_count; i++)
        append_result(&sql, types, batch.compared[i].column);
    if (selects_version(batch))
        append_result(&sql, types, batch.target.version_attribute());
    foreach (cell, batch.frozen)
        append_result(&sql, types, TupleDescAttr(batch.target.descriptor(), lfirst_int(cell) - 1));
    if (batch.by_tid) {
        append_result(&sql, types, "t.tableoid", OIDOID);
        append_result(&sql, types, "t.ctid", TIDOID);
    }
    appendStringInfo(&sql, " FROM occ_rows AS i JOIN %s AS t ON ", table_in_sql(batch));
    append_key_condition(&sql, batch);
    if (lock)
        appendStringInfo(&sql, " ORDER BY i.number %s OF t", locking_clause(*lock));
    return sql.data;
}

/* Would the guard let that version pass, if it had to be the one that was read? */
bool
version_is_expected(const Target &target, const Value &stored, const Value &stated)
{
    return with_version_type(
        target.version, target.policy.time_precision, {}, [&]<class T>(const T &type) {
            return judge(type, Token::read, Echo::bump,
                         decode_maybe<T>(stored.datum, stored.isnull),
                         decode_maybe<T>(stated.datum, stated.isnull)) == Verdict::bump;
        });
}

bool
values_are_equal(FmgrInfo *equals, Form_pg_attribute column, const Value &a, const Value &b)
{
    if (a.isnull || b.isnull)
        return a.isnull == b.isnull;
    const auto are_same_bits = [&]() {
        return datum_image_eq(a.datum, b.datum, column->attbyval, column->attlen);
    };
    if (equals == nullptr)
        return are_same_bits();

    LOCAL_FCINFO(call, 2);
    InitFunctionCallInfoData(*call, equals, 2, column->attcollation, nullptr, nullptr);
    call->args[0] = {a.datum, false};
    call->args[1] = {b.datum, false};
    const bool same = DatumGetBool(FunctionCallInvoke(call));
    return call->isnull ? are_same_bits() : same; /* an = in SQL may not know */
}

bool
is_as_expected(const Batch &batch, const BatchRow &row, const Value *actual)
{
    for (int i = 0; i < batch.compared_count; i++) {
        const ComparedColumn &compared = batch.compared[i];
        const bool same =
            compared.equals == nullptr
                ? version_is_expected(batch.target, actual[i], row.expected[i])
                : values_are_equal(compared.equals, compared.column, row.expected[i], actual[i]);
        if (!same)
            return false;
    }
    return true;
}

/* Look for a column that can't be set and is given another value than it has. */
void
check_frozen(Locking *locking, const BatchRow &row, const Value *frozen)
{
    const Value *given = locking->batch->all_given ? locking->batch->all_given : row.given;

    for (int i = 0; i < row.shape->given_count; i++) {
        const GivenColumn &column = row.shape->given[i];
        if (column.frozen >= 0 &&
            !values_are_equal(column.equals, column.column, given[i], frozen[column.frozen])) {
            locking->changes_frozen = &row;
            locking->frozen_column = column.column;
        }
    }
}

/*
 * A row stays where it is while it is locked, so that is how to find it again:
 * by its key, another one might be found as well that was not verified.  Who
 * may read only some columns can't read where rows are, and what a foreign
 * table says of it means nothing here.
 */
bool
can_find_by_tid(const Target &target)
{
    return !target.has_foreign_tables &&
           pg_class_aclcheck(target.relid(), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Keep what a stale row has, for the error.  That lists no more than some bytes,
 * and values may be large where those that were expected are small: the rest is
 * forgotten, and the row will not be listed.
 */
void
keep_actual(Locking *locking, BatchRow *row, const Value *actual)
{
    const Batch &batch = *locking->batch;
    Size size = 0;

    for (int i = 0; i < batch.compared_count; i++)
        size += listed_size(actual[i].datum, actual[i].isnull, batch.compared[i].column->attlen);
    if (size > max_listed_bytes || locking->kept_bytes > max_listed_bytes)
        return;
    locking->kept_bytes += size;
    auto *kept = static_cast<Value *>(palloc(sizeof(Value) * batch.compared_count));
    for (int i = 0; i < batch.compared_count; i++)
        kept[i] = copy_value(batch.compared[i].column, actual[i].datum, actual[i].isnull);
    row->actual = kept;
}

extern "C" void
occ_take_locked_row(void *argument, TupleTableSlot *slot)
{
    auto *locking = static_cast<Locking *>(argument);
    Batch *batch = locking->batch;

    slot_getallattrs(slot);
    BatchRow *row = batch->order[DatumGetInt64(slot->tts_values[0])];
    if (row->status != RowStatus::missing) {
        locking->ambiguous = row;
        return;
    }

    MemoryContext old = MemoryContextSwitchTo(batch->context);
    const int others = slot->tts_tupleDescriptor->natts - 1 - (batch->by_tid ? 2 : 0);
    Value *actual = batch->scratch;
    for (int i = 0; i < others; i++)
        actual[i] = {slot->tts_values[i + 1], slot->tts_isnull[i + 1]};

    if (batch->target.guarded) {
        const Value &version = actual[selects_version(*batch) ? batch->compared_count : 0];
        row->version = copy_value(batch->target.version_attribute(), version.datum, version.isnull);
    }
    if (batch->by_tid) {
        row->table = DatumGetObjectId(slot->tts_values[others + 1]);
        row->tid = *reinterpret_cast<ItemPointer>(DatumGetPointer(slot->tts_values[others + 2]));
    }
    const bool as_expected = is_as_expected(*batch, *row, actual);
    if (as_expected && locking->locks) {
        row->status = RowStatus::checked;
        row->to_write = true;
        if (batch->frozen != NIL && locking->changes_frozen == nullptr)
            check_frozen(locking, *row, &actual[others - list_length(batch->frozen)]);
    }
    else if (!as_expected) {
        keep_actual(locking, row, actual);
        row->status = RowStatus::stale;
    }
    MemoryContextSwitchTo(old);
}

void
raise_what_was_found(const Locking &locking)
{
    const Batch &batch = *locking.batch;

    if (locking.ambiguous != nullptr)
        raise_ambiguous(batch, *locking.ambiguous);
    if (locking.changes_frozen != nullptr)
        ereport(ERROR, errcode(ERRCODE_GENERATED_ALWAYS),
                errmsg("column \"%s\" cannot be set", NameStr(locking.frozen_column->attname)),
                errdetail(locking.frozen_column->attgenerated != '\0'
                              ? "It is a generated column, and %s gives it another value."
                              : "It is an identity column defined as GENERATED ALWAYS, and %s "
                                "gives it another value.",
                          batch.all_given != nullptr
                              ? "\"changes\""
                              : psprintf("element " UINT64_FORMAT,
                                         element_number(batch, *locking.changes_frozen))),
                errhint("Leave the column out, or leave it as it was read."),
                errtablecol(batch.target.relation, locking.frozen_column->attnum));
}

/* Look up the rows that are not done yet, and lock them unless lock is null. */
void
look_up(Batch *batch, std::optional<RowLock> lock)
{
    MemoryContext old = MemoryContextSwitchTo(batch->context);
    Locking locking = {batch, lock.has_value(), 0, nullptr, nullptr, nullptr};
    RowsRelation rows(*batch, 0);
    RowReceiver receiver;
    List *types = NIL;
    std::uint64_t next = 0;

    batch->by_tid = lock && can_find_by_tid(batch->target);
    for (std::uint64_t i = 0; i < batch->count; i++) {
        if (batch->order[i]->status == RowStatus::missing)
            rows.add_row(i, batch->order[i]->key, nullptr);
    }
    const QueryParameters parameters = key_parameters(*batch, batch->count, [&]() -> const Value * {
        return next < batch->count ? batch->order[next++]->key : nullptr;
    });
    batch->scratch = static_cast<Value *>(
        palloc(sizeof(Value) * (batch->compared_count + list_length(batch->frozen) + 1)));
    const char *query = lock_query(*batch, lock, &types);
    init_receiver(&receiver, {}, occ_take_locked_row, &locking);
    expect_types(&receiver, batch->target.relation, types);

    const NamedRows inputs[] = {rows.named()};
    run_prepared(query, inputs, parameters, &receiver);
    rows.end();
    raise_what_was_found(locking);
    MemoryContextSwitchTo(old);
}

}  // namespace

void
raise_ambiguous(const Batch &batch, const BatchRow &row)
{
    ereport(ERROR, errcode(ERRCODE_CARDINALITY_VIOLATION),
            errmsg("element " UINT64_FORMAT " of \"%s\" names more than one row",
                   element_number(batch, row), batch.argument),
            errdetail("The key of table \"%s\" is not unique.",
                      RelationGetRelationName(batch.target.relation)),
            errhint("Name unique columns when you guard the table: key => '{...}'. Tables that "
                    "inherit from each other can hold the same key: name the one."),
            errtable(batch.target.relation));
    pg_unreachable();
}

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

void
lock_rows(Batch *batch, RowLock lock)
{
    look_up(batch, lock);
}

void
find_conflicts(Batch *batch)
{
    look_up(batch, std::nullopt);
}

}  // namespace occ
