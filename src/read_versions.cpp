/* The versions that are stored after all triggers.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "batch_query.hpp"

namespace occ {

namespace {

/* Those of a foreign key that only look, and write nothing. */
bool
only_looks(Oid function)
{
    switch (function) {
    case F_RI_FKEY_CHECK_INS:
    case F_RI_FKEY_CHECK_UPD:
    case F_RI_FKEY_NOACTION_DEL:
    case F_RI_FKEY_NOACTION_UPD:
    case F_RI_FKEY_RESTRICT_DEL:
    case F_RI_FKEY_RESTRICT_UPD:
        return true;
    default:
        return false;
    }
}

/* The key by which a row can be found now, or null if it has none. */
const Value *
current_key(const Target &target, const BatchRow &row)
{
    const Value *key = row.now_key != nullptr ? row.now_key : row.key;

    for (int i = 0; i < target.key_count; i++) {
        if (key[i].isnull)
            return nullptr;
    }
    return key;
}

/* Rows that are read again. */
struct Rereading {
    Batch *batch;
    const BatchRow *ambiguous; /* a key by which a second row was found */
};

extern "C" void
occ_take_version(void *argument, TupleTableSlot *slot)
{
    auto *rereading = static_cast<Rereading *>(argument);

    slot_getallattrs(slot);
    BatchRow *row = &rereading->batch->rows[DatumGetInt64(slot->tts_values[0])];
    if (row->was_reread)
        rereading->ambiguous = row;
    row->was_reread = true;
    take_version(*rereading->batch, row, slot);
}

}  // namespace

/* In a tree, the triggers of all its tables count: to read again is cheaper than to open them. */
bool
may_be_written_again(const Target &target)
{
    const TriggerDesc *triggers = target.relation->trigdesc;

    if (!target.guarded)
        return false;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Oid function = triggers->triggers[i].tgfoid;
        if (function != target.guard_function && !only_looks(function))
            return true;
    }
    return target.relation->rd_rel->relhassubclass;
}

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

void
read_versions(Batch *batch, Operation operation)
{
    const RowStatus done = done_by(operation);
    RowsRelation rows(*batch, 0);
    Rereading rereading = {batch, nullptr};
    RowReceiver receiver;
    StringInfoData sql;
    List *types = NIL;
    std::uint64_t count = 0;

    /* Rows that were not written have no version, unless they are found. */
    const auto wanted_key = [&](const BatchRow &row) -> const Value * {
        const bool is_wanted = row.to_write && (batch->rereads || row.status != done);
        return is_wanted ? current_key(batch->target, row) : nullptr;
    };
    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = &batch->rows[i];
        const Value *key = wanted_key(*row);
        if (key == nullptr)
            continue;
        rows.add_row(i, key, nullptr);
        row->version.isnull = row->version.isnull || row->status != done;
        count++;
    }
    if (count > 0) {
        std::uint64_t next = 0;
        const QueryParameters parameters = key_parameters(*batch, count, [&]() -> const Value * {
            const Value *key = nullptr;
            while (key == nullptr && next < batch->count)
                key = wanted_key(batch->rows[next++]);
            return key;
        });
        initStringInfo(&sql);
        appendStringInfoString(&sql, "SELECT ");
        append_result(&sql, &types, "i.number", INT8OID);
        append_result(&sql, &types, batch->target.version_attribute());
        appendStringInfo(&sql, " FROM occ_rows AS i JOIN %s AS t ON ", table_in_sql(*batch));
        append_key_condition(&sql, *batch);
        init_receiver(&receiver, {}, occ_take_version, &rereading);
        expect_types(&receiver, batch->target.relation, types);
        const NamedRows inputs[] = {rows.named()};
        run_prepared(sql.data, inputs, parameters, &receiver);
        if (rereading.ambiguous != nullptr)
            raise_ambiguous(*batch, *rereading.ambiguous);
    }
    rows.end();
}

}  // namespace occ
