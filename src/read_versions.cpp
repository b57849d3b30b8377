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

/*
 * May something run after a row was returned, and write to it again?  In a
 * tree, the triggers of all its tables count; to read again is cheaper than to
 * open them all.
 */
bool
may_be_written_again(Relation relation)
{
    const TriggerDesc *triggers = relation->trigdesc;

    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (TRIGGER_FOR_AFTER(trigger.tgtype) && !only_looks(trigger.tgfoid))
            return true;
    }
    return relation->rd_rel->relhassubclass;
}

/* The key that a row has now: what changes it is known, if it is one change for all. */
const Value *
current_key(const Batch &batch, const BatchRow &row, Value *buffer)
{
    std::copy(row.key, row.key + batch.target.key_count, buffer);
    if (batch.all_given == nullptr || row.status != RowStatus::updated)
        return buffer;
    for (int i = 0; i < batch.target.key_count; i++) {
        for (int k = 0; k < row.shape->given_count; k++) {
            if (row.shape->given[k].column == batch.target.key[i].column)
                buffer[i] = batch.all_given[k];
        }
    }
    return buffer;
}

extern "C" void
occ_take_version(void *argument, TupleTableSlot *slot)
{
    const auto *batch = static_cast<Batch *>(argument);

    slot_getallattrs(slot);
    take_version(*batch, &batch->rows[DatumGetInt64(slot->tts_values[0])], slot);
}

}  // namespace

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
read_versions(Batch *batch, Write write)
{
    const RowStatus done = write == Write::remove ? RowStatus::deleted : RowStatus::updated;
    const bool all = write != Write::remove && may_be_written_again(batch->target.relation);
    auto *key = static_cast<Value *>(palloc(sizeof(Value) * batch->target.key_count));
    RowsRelation rows(*batch, 0);
    RowReceiver receiver;
    StringInfoData sql;
    std::uint64_t count = 0;

    const auto is_wanted = [&](const BatchRow &row) {
        return row.to_write && (all || row.status != done);
    };
    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = &batch->rows[i];
        if (!is_wanted(*row))
            continue;
        rows.add_row(i, current_key(*batch, *row, key), nullptr);
        row->version.isnull = true; /* unless it is found */
        count++;
    }
    if (count > 0) {
        std::uint64_t next = 0;
        const QueryParameters parameters = key_parameters(*batch, count, [&]() -> const Value * {
            while (next < batch->count && !is_wanted(batch->rows[next]))
                next++;
            return next < batch->count ? current_key(*batch, batch->rows[next++], key) : nullptr;
        });
        initStringInfo(&sql);
        appendStringInfo(&sql, "SELECT i.number, t.%s FROM occ_rows AS i JOIN %s AS t ON ",
                         quote_identifier(NameStr(batch->target.version_column)),
                         table_in_sql(*batch));
        append_key_condition(&sql, *batch);
        init_receiver(&receiver, {}, occ_take_version, batch);
        const NamedRows inputs[] = {rows.named()};
        run_prepared(sql.data, inputs, parameters, &receiver);
    }
    rows.end();
}

}  // namespace occ
