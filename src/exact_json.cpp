/* SQL values as JSON that reads back: see exact_json.hpp. */
#include "pg.hpp"

#include "exact_json.hpp"
#include "exact_scalar.hpp"
#include "record.hpp"

namespace occ {

struct ExactWriter {
    Oid type; /* no domain */
    Form form;
    TextOutput output;

    ExactWriter *element; /* of an array */
    int16 length;         /* and its elements' */
    bool by_value;
    char alignment;

    MemoryContext context; /* of the fields; null as long as they are not known */
    uint64 row_type;       /* changes if the type does */
    int field_count;
    ExactWriter **fields; /* null for one that was dropped */
};

namespace {

std::optional<JsonbValue> write_array(ExactWriter *writer, Datum value);
std::optional<JsonbValue> write_composite(ExactWriter *writer, Datum value);

/* A value within an array or a composite one; nothing if JSON can't say it there. */
std::optional<JsonbValue>
write_nested(ExactWriter *writer, Datum value)
{
    check_stack_depth();
    if (writer->form == Form::array)
        return write_array(writer, value);
    if (writer->form == Form::composite)
        return write_composite(writer, value);
    const ExactMember member = write_scalar(writer->form, &writer->output, value);
    if (member.mark.type != jbvNull)
        return std::nullopt;
    return member.value;
}

/* JSON arrays within an array would be taken for its dimensions. */
bool
is_json_array(const JsonbValue &value)
{
    return value.type == jbvArray ||
           (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data));
}

JsonbValue
array_value(int count)
{
    JsonbValue value = {};

    value.type = jbvArray;
    value.val.array.nElems = count;
    value.val.array.elems = static_cast<JsonbValue *>(
        MemoryContextAllocHuge(CurrentMemoryContext, sizeof(JsonbValue) * (count + 1)));
    return value;
}

/* One dimension of an array, and those within it. */
JsonbValue
nest(JsonbValue **next, const int *dimensions, int count)
{
    JsonbValue value = array_value(dimensions[0]);

    for (int i = 0; i < dimensions[0]; i++)
        value.val.array.elems[i] = count == 1 ? *(*next)++ : nest(next, dimensions + 1, count - 1);
    return value;
}

/* Lower bounds other than 1 have no place in JSON. */
std::optional<JsonbValue>
write_array(ExactWriter *writer, Datum value)
{
    ArrayType *array = DatumGetArrayTypeP(value);
    Datum *elements;
    bool *nulls;
    int count;

    if (ARR_NDIM(array) == 0)
        return array_value(0);
    for (int i = 0; i < ARR_NDIM(array); i++) {
        if (ARR_LBOUND(array)[i] != 1)
            return std::nullopt;
    }
    deconstruct_array(array, ARR_ELEMTYPE(array), writer->length, writer->by_value,
                      writer->alignment, &elements, &nulls, &count);
    JsonbValue *written = array_value(count).val.array.elems;
    for (int i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        written[i] = null_value();
        if (nulls[i])
            continue;
        const std::optional<JsonbValue> element = write_nested(writer->element, elements[i]);
        if (!element || is_json_array(*element))
            return std::nullopt;
        written[i] = *element;
    }
    return nest(&written, ARR_DIMS(array), ARR_NDIM(array));
}

/* The writers of a row type's columns.  They are kept until the type changes. */
void
learn_fields(ExactWriter *writer, const Row &row)
{
    const uint64 row_type = assign_record_type_identifier(row.type, row.typmod);

    if (writer->context != nullptr && writer->row_type == row_type)
        return;
    if (writer->context == nullptr)
        writer->context = AllocSetContextCreate(GetMemoryChunkContext(writer), "occ_lock columns",
                                                ALLOCSET_SMALL_SIZES);
    MemoryContextReset(writer->context);
    writer->row_type = 0;
    MemoryContext old = MemoryContextSwitchTo(writer->context);
    writer->field_count = row.descriptor->natts;
    writer->fields =
        static_cast<ExactWriter **>(palloc0(sizeof(ExactWriter *) * (writer->field_count + 1)));
    for (int i = 0; i < writer->field_count; i++) {
        Form_pg_attribute column = TupleDescAttr(row.descriptor, i);
        if (!column->attisdropped)
            writer->fields[i] = make_exact_writer(column->atttypid);
    }
    writer->row_type = row_type;
    MemoryContextSwitchTo(old);
}

/* Call action with each column of a row: its name, its writer, its value.  Ends if that says so. */
template <class Action>
bool
for_each_column(ExactWriter *writer, HeapTupleHeader header, const Action &action)
{
    Row row = row_of(header);
    bool goes_on = true;

    learn_fields(writer, row);
    for (int i = 0; goes_on && i < writer->field_count; i++) {
        if (writer->fields[i] == nullptr)
            continue;
        const auto attnum = static_cast<AttrNumber>(i + 1);
        bool isnull;
        const Datum value = row.get(attnum, &isnull);
        goes_on =
            action(pstrdup(NameStr(row.column(attnum)->attname)), writer->fields[i], value, isnull);
    }
    ReleaseTupleDesc(row.descriptor);
    return goes_on;
}

/* Add a member to an object that will have no more than count. */
void
add_pair(JsonbValue *object, int count, const JsonbValue &key, const JsonbValue &value)
{
    if (object->val.object.pairs == nullptr)
        object->val.object.pairs = static_cast<JsonbPair *>(palloc0(sizeof(JsonbPair) * count));
    JsonbPair *pair = &object->val.object.pairs[object->val.object.nPairs++];
    pair->key = key;
    pair->value = value;
}

std::optional<JsonbValue>
write_composite(ExactWriter *writer, Datum value)
{
    HeapTupleHeader header = DatumGetHeapTupleHeader(value);
    JsonbValue object = {};

    object.type = jbvObject;
    const bool exact = for_each_column(
        writer, header, [&](const char *name, ExactWriter *field, Datum datum, bool isnull) {
            std::optional<JsonbValue> written = null_value();
            if (!isnull)
                written = write_nested(field, datum);
            if (written)
                add_pair(&object, writer->field_count, json_name(name), *written);
            return written.has_value();
        });
    if (!exact)
        return std::nullopt;
    return object;
}

/* Marked as any value is where the type alone is the reason: it may be edited. */
ExactMember
write_null(const ExactWriter *writer)
{
    ExactMember member = {null_value(), null_value()};

    if (writer->form == Form::cast) {
        member.mark.type = jbvBool;
        member.mark.val.boolean = true;
    }
    return member;
}

}  // namespace

ExactWriter *
make_exact_writer(Oid type)
{
    auto *writer = static_cast<ExactWriter *>(palloc0(sizeof(ExactWriter)));

    writer->type = getBaseType(type);
    writer->form = form_of(writer->type);
    writer->output = text_output(writer->type);
    if (writer->form == Form::array) {
        const Oid element = get_element_type(writer->type);
        writer->element = make_exact_writer(element);
        get_typlenbyvalalign(element, &writer->length, &writer->by_value, &writer->alignment);
    }
    return writer;
}

ExactWriter *
make_record_writer()
{
    return make_exact_writer(RECORDOID);
}

ExactMember
write_exactly(ExactWriter *writer, Datum value)
{
    if (writer->form != Form::array && writer->form != Form::composite)
        return write_scalar(writer->form, &writer->output, value);
    if (const std::optional<JsonbValue> nested = write_nested(writer, value))
        return {*nested, null_value()};
    return write_scalar(Form::text, &writer->output, value);
}

void
push_marks(JsonbParseState **row, JsonbValue *marks)
{
    if (marks->val.object.nPairs == 0)
        return;
    JsonbValue name = json_name(marks_name);
    pushJsonbValue(row, WJB_KEY, &name);
    pushJsonbValue(row, WJB_VALUE, marks);
}

Jsonb *
write_row(ExactWriter *writer, HeapTupleHeader row)
{
    JsonbParseState *state = nullptr;
    JsonbValue marks = {};

    marks.type = jbvObject;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for_each_column(
        writer, row, [&](const char *name, ExactWriter *column, Datum datum, bool isnull) {
            JsonbValue key = json_name(name);
            ExactMember member = isnull ? write_null(column) : write_exactly(column, datum);
            pushJsonbValue(&state, WJB_KEY, &key);
            pushJsonbValue(&state, WJB_VALUE, &member.value);
            if (member.mark.type != jbvNull)
                add_pair(&marks, writer->field_count, key, member.mark);
            return true;
        });
    push_marks(&state, &marks);
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

}  // namespace occ
