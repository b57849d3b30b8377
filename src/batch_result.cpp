/* What a batch comes to: an error about conflicts, or its result.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"
#include "conflict.hpp"
#include "findings.hpp"
#include "json.hpp"
#include "settings.hpp"

namespace occ {

namespace {

/* What was compared, as JSON: the bare version, or the lock fields by name. */
const char *
compared_json(const Batch &batch, const Value *values)
{
    StringInfoData json;

    if (values == nullptr)
        return "null";
    if (!batch.by_lock_fields)
        return json_of(values[0].datum, batch.compared[0].column->atttypid, values[0].isnull);
    initStringInfo(&json);
    for (int i = 0; i < batch.compared_count; i++) {
        Form_pg_attribute column = batch.compared[i].column;
        append_json_member(&json, i == 0, NameStr(column->attname), values[i].datum,
                           column->atttypid, values[i].isnull);
    }
    appendStringInfoChar(&json, '}');
    return json.data;
}

/* The name by which errors know the table, and what they say of it. */
TableFindings *
describe_target(const Batch &batch)
{
    const Target &target = batch.target;
    auto *table = static_cast<TableFindings *>(palloc0(sizeof(TableFindings)));

    table->relid = target.relid();
    table->name = table_name(target.relation);
    if (!batch.by_lock_fields) {
        table->name.version_column = target.version_column;
        table->name.trigger = target.trigger;
    }
    /* The caller has named the keys, and has read the versions with his own rights. */
    table->visible = {true, true};
    table->key_count = target.key_count;
    table->key = static_cast<KeyColumn *>(palloc0(sizeof(KeyColumn) * target.key_count));
    for (int i = 0; i < target.key_count; i++) {
        Form_pg_attribute column = target.key[i].column;
        table->key[i] = {column->attname, column->attnum, column->atttypid, column->attlen,
                         column->attbyval};
    }
    return table;
}

ConflictRow *
describe_row(const Batch &batch, const BatchRow &row, TableFindings *table)
{
    auto *described = static_cast<ConflictRow *>(palloc0(sizeof(ConflictRow)));

    described->table = table;
    described->status = row.status;
    described->expected = compared_json(batch, row.expected);
    described->actual = compared_json(batch, row.actual);
    described->key = static_cast<Datum *>(palloc(sizeof(Datum) * table->key_count));
    described->key_nulls = static_cast<bool *>(palloc0(sizeof(bool) * table->key_count));
    for (int i = 0; i < table->key_count; i++)
        described->key[i] = row.key[i].datum;
    return described;
}

/* About how much room a row takes in a list. */
Size
size_of(const Batch &batch, const BatchRow &row)
{
    Size size = 0;

    for (int i = 0; i < batch.target.key_count; i++)
        size += listed_size(row.key[i].datum, false, batch.target.key[i].column->attlen);
    for (const Value *values : {row.expected, row.actual}) {
        for (int i = 0; values != nullptr && i < batch.compared_count; i++)
            size +=
                listed_size(values[i].datum, values[i].isnull, batch.compared[i].column->attlen);
    }
    return size;
}

/* {"id": 1}, written as in the DETAIL of a conflict, so that the two can be matched. */
struct KeyObject {
    JsonbValue value;
    int columns[INDEX_MAX_KEYS]; /* of the key, in the order in which jsonb has their names */
    ExactWriter *writers[INDEX_MAX_KEYS]; /* of those that may need marks; else null */
    bool is_flat;                         /* scalars without marks, as keys mostly are */
};

KeyObject *
make_key_object(const Target &target)
{
    auto *object = static_cast<KeyObject *>(palloc0(sizeof(KeyObject)));
    auto *pairs = static_cast<JsonbPair *>(palloc0(sizeof(JsonbPair) * target.key_count));
    const auto name = [&](int column) {
        return std::string_view(NameStr(target.key[column].column->attname));
    };
    const auto comes_first = [&](int a, int b) {
        return name(a).size() != name(b).size() ? name(a).size() < name(b).size()
                                                : name(a) < name(b);
    };

    object->is_flat = true;
    for (int i = 0; i < target.key_count; i++) {
        const Oid type = target.key[i].column->atttypid;
        if (may_need_marks(type)) {
            object->writers[i] = make_exact_writer(type);
            object->is_flat = false;
        }
    }
    for (int i = 0; i < target.key_count; i++) {
        int place = i;
        for (; place > 0 && comes_first(i, object->columns[place - 1]); place--)
            object->columns[place] = object->columns[place - 1];
        object->columns[place] = i;
    }
    for (int i = 0; i < target.key_count; i++) {
        const std::string_view text = name(object->columns[i]);
        pairs[i].key.type = jbvString;
        pairs[i].key.val.string = {static_cast<int>(text.size()), const_cast<char *>(text.data())};
    }
    object->value.type = jbvObject;
    object->value.val.object = {target.key_count, pairs};
    return object;
}

/* The same for keys that are JSON themselves, or need marks. */
Datum
marked_key(const KeyObject &object, const Target &target, const BatchRow &row)
{
    JsonbParseState *state = nullptr;
    JsonbPair pairs[INDEX_MAX_KEYS];
    JsonbValue marks = {};

    marks.type = jbvObject;
    marks.val.object.pairs = pairs;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (int i = 0; i < target.key_count; i++) {
        Form_pg_attribute column = target.key[i].column;
        JsonbValue name = json_name(NameStr(column->attname));
        JsonbValue value = jsonb_of(row.key[i].datum, column->atttypid);
        pushJsonbValue(&state, WJB_KEY, &name);
        pushJsonbValue(&state, WJB_VALUE, &value);
        if (object.writers[i] == nullptr)
            continue;
        const ExactMember member = write_exactly(object.writers[i], row.key[i].datum);
        if (member.mark.type != jbvNull)
            pairs[marks.val.object.nPairs++] = {name, member.mark, 0};
    }
    push_marks(&state, &marks);
    return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}

Datum
key_jsonb(KeyObject *object, const Target &target, const BatchRow &row)
{
    if (!object->is_flat)
        return marked_key(*object, target, row);
    for (int i = 0; i < target.key_count; i++) {
        const int column = object->columns[i];
        object->value.val.object.pairs[i].value =
            jsonb_of(row.key[column].datum, target.key[column].column->atttypid);
    }
    return JsonbPGetDatum(JsonbValueToJsonb(&object->value));
}

}  // namespace

void
refuse_conflicts(Batch *batch, OnConflict on_conflict, bool writes)
{
    if (on_conflict == OnConflict::skip)
        return;

    /* A lock field is the caller's own condition, and none of the guard's. */
    const bool warns = !batch->by_lock_fields && batch->target.policy.enforce == Enforce::warn;
    MemoryContext old = MemoryContextSwitchTo(batch->context);
    Findings findings = {};
    ConflictRow **end = &findings.rows;
    Size listed_bytes = 0;
    bool writes_some = false;

    for (std::uint64_t i = 0; i < batch->count; i++) {
        BatchRow *row = &batch->rows[i];
        if (!is_conflict(row->status))
            continue;
        if (findings.tables == nullptr)
            findings.tables = describe_target(*batch);
        findings.tables->conflicts++;
        const bool is_known = row->status == RowStatus::missing || row->actual != nullptr;
        const Size size = size_of(*batch, *row);
        if (findings.listed < static_cast<std::uint64_t>(settings::max_reported_rows) &&
            listed_bytes < max_listed_bytes && size <= max_listed_bytes && is_known) {
            *end = describe_row(*batch, *row, findings.tables);
            listed_bytes += size;
            end = &(*end)->next;
            findings.listed++;
        }
        row->to_write = warns && writes && row->status == RowStatus::stale;
        writes_some = writes_some || row->to_write;
    }
    if (findings.tables != nullptr) {
        findings.tables->enforce = warns ? Enforce::warn : Enforce::error;
        findings.wrote_nothing = !writes_some;
        report_conflict(warns ? WARNING : ERROR, findings, findings.tables->enforce);
    }
    MemoryContextSwitchTo(old);
}

Datum
return_rows(FunctionCallInfo fcinfo, Batch *batch)
{
    ReturnSetInfo *set = pg::materialize(fcinfo);
    MemoryContext per_row =
        AllocSetContextCreate(batch->context, "occ_lock result", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(batch->context);
    KeyObject *key = make_key_object(batch->target);
    Datum statuses[names_of<RowStatus>.size()];

    for (std::size_t i = 0; i < names_of<RowStatus>.size(); i++)
        statuses[i] = CStringGetTextDatum(names_of<RowStatus>[i].data());
    MemoryContextSwitchTo(per_row);
    for (std::uint64_t i = 0; i < batch->count; i++) {
        const BatchRow &row = batch->rows[i];
        Datum values[3] = {};
        bool nulls[3] = {false, false, row.version.isnull};

        CHECK_FOR_INTERRUPTS();
        values[0] = key_jsonb(key, batch->target, row);
        values[1] = statuses[static_cast<std::size_t>(row.status)];
        if (!row.version.isnull)
            values[2] = PointerGetDatum(cstring_to_text(
                json_scalar(row.version.datum, batch->target.version.type, false).text));
        tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
        MemoryContextReset(per_row);
    }
    MemoryContextSwitchTo(old);
    end_batch(batch);
    return Datum{0};
}

}  // namespace occ
