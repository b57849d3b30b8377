/* The first step of a set function: its elements as rows.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"

namespace occ {

namespace {

/* What a column is to the batch. */
enum class Role : std::uint8_t { other, key, compared, given };

struct Column {
    Role role;
    int place; /* among the key's or the compared columns */
    ColumnReader *reader;
};

/* One field of an element. */
struct Field {
    AttrNumber attnum;
    JsonbValue value;
};

/* The state of reading, and what messages say of where it is. */
struct Reading {
    Batch *batch;
    MemoryContext per_value;
    const char *argument;
    Column *columns; /* by attnum - 1 */
    Field *fields;   /* those of the current element, at most one a column */
    int field_count;
    Field *previous; /* those of the element before, which mostly has the same names */
    int previous_count;
    JsonbContainer *marks;      /* of the current element, or null: see exact_json.hpp */
    GivenColumn *given_columns; /* of the current element */
    Value *given;
    std::uint64_t element; /* from 1; 0 for an argument that is one object */
    Form_pg_attribute column;
};

/* Every error while a value is read says where it stands. */
extern "C" void
occ_reading_context(void *argument)
{
    const auto *reading = static_cast<Reading *>(argument);

    if (reading->column == nullptr)
        return;
    if (reading->element > 0)
        errcontext("element " UINT64_FORMAT " of \"%s\", column \"%s\"", reading->element,
                   reading->argument, NameStr(reading->column->attname));
    else
        errcontext("\"%s\", column \"%s\"", reading->argument, NameStr(reading->column->attname));
}

[[noreturn]] void
raise_not_objects(const char *argument, bool array_allowed)
{
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("\"%s\" must be %s", argument,
                   array_allowed ? "a JSON array of objects, or one object" : "a JSON object"),
            array_allowed ? errhint("Pass rows as occ.snapshot() gives them, such as [{\"id\": 1, "
                                    "\"version\": 3}].")
                          : errhint("Pass the columns to set, such as {\"price\": 12}."));
    pg_unreachable();
}

[[noreturn]] void
raise_no_such_column(const Reading &reading, const JsonbValue &name)
{
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
            errmsg("column \"%.*s\" of relation \"%s\" does not exist", name.val.string.len,
                   name.val.string.val, RelationGetRelationName(reading.batch->target.relation)),
            reading.element > 0
                ? errdetail("Element " UINT64_FORMAT " of \"%s\" has it as a member.",
                            reading.element, reading.argument)
                : errdetail("\"%s\" has it as a member.", reading.argument),
            errhint("Members are columns of the table, with the names that they have there."),
            errtable(reading.batch->target.relation));
    pg_unreachable();
}

/* The current element lacks a column of the key, or one that is compared. */
[[noreturn]] void
raise_lacks(const Reading &reading)
{
    const Batch &batch = *reading.batch;
    Form_pg_attribute lacking = nullptr;
    const char *what = nullptr;

    const auto consider = [&](Form_pg_attribute column, const char *role) {
        bool given = lacking != nullptr;
        for (int i = 0; !given && i < reading.field_count; i++)
            given = reading.fields[i].attnum == column->attnum;
        if (!given) {
            lacking = column;
            what = role;
        }
    };
    for (int i = 0; i < batch.target.key_count; i++)
        consider(batch.target.key[i].column, "key column");
    for (int i = 0; i < batch.compared_count; i++)
        consider(batch.compared[i].column,
                 batch.compared[i].equals == nullptr ? "version column" : "lock field");
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("element " UINT64_FORMAT " of \"%s\" lacks the %s \"%s\"", reading.element,
                   reading.argument, what, NameStr(lacking->attname)),
            errhint("Each element must have the columns of the key and what is compared."),
            errtablecol(batch.target.relation, lacking->attnum));
    pg_unreachable();
}

Column *
assign_roles(const Batch &batch)
{
    TupleDesc descriptor = batch.target.descriptor();
    auto *columns = static_cast<Column *>(palloc0(sizeof(Column) * (descriptor->natts + 1)));

    if (batch.takes_values) {
        for (int i = 0; i < descriptor->natts; i++)
            columns[i].role = Role::given;
    }
    for (int i = 0; i < batch.compared_count; i++)
        columns[batch.compared[i].column->attnum - 1] = {Role::compared, i, nullptr};
    for (int i = 0; i < batch.target.key_count; i++)
        columns[batch.target.key[i].column->attnum - 1] = {Role::key, i, nullptr};
    return columns;
}

Reading
begin_reading(Batch *batch, const char *argument)
{
    const Size fields = sizeof(Field) * (batch->target.descriptor()->natts + 1);
    Reading reading = {};

    reading.batch = batch;
    reading.per_value =
        AllocSetContextCreate(batch->context, "occ_lock value", ALLOCSET_SMALL_SIZES);
    reading.argument = argument;
    reading.columns = assign_roles(*batch);
    reading.fields = static_cast<Field *>(palloc0(fields));
    reading.previous = static_cast<Field *>(palloc0(fields));
    reading.given_columns = static_cast<GivenColumn *>(
        palloc0(sizeof(GivenColumn) * (batch->target.descriptor()->natts + 1)));
    reading.given =
        static_cast<Value *>(palloc0(sizeof(Value) * (batch->target.descriptor()->natts + 1)));
    return reading;
}

/* The column that a member names; mostly that of the same member of the element before. */
AttrNumber
column_of(const Reading &reading, const JsonbValue &name, int place)
{
    TupleDesc descriptor = reading.batch->target.descriptor();
    const std::string_view text(name.val.string.val, name.val.string.len);

    if (place < reading.previous_count) {
        const AttrNumber guess = reading.previous[place].attnum;
        if (text == NameStr(TupleDescAttr(descriptor, guess - 1)->attname))
            return guess;
    }
    const AttrNumber attnum = find_column(descriptor, text);
    if (attnum == InvalidAttrNumber)
        raise_no_such_column(reading, name);
    return attnum;
}

bool
holds_marks(const JsonbValue &name, const JsonbValue &value)
{
    return std::string_view(name.val.string.val, name.val.string.len) == marks_name &&
           value.type == jbvBinary && JsonContainerIsObject(value.val.binary.data);
}

/* What stands beside a member of the current element, or null. */
const JsonbValue *
mark_of(const Reading &reading, Form_pg_attribute column)
{
    if (reading.marks == nullptr)
        return nullptr;
    return getKeyJsonValueFromContainer(reading.marks, NameStr(column->attname),
                                        static_cast<int>(strlen(NameStr(column->attname))),
                                        nullptr);
}

/* Take an object apart into reading->fields and marks.  Its members are unique, so they fit. */
void
read_fields(Reading *reading, JsonbContainer *object)
{
    JsonbIterator *iterator = JsonbIteratorInit(object);
    JsonbValue name;
    JsonbValue value;

    std::swap(reading->fields, reading->previous);
    reading->previous_count = reading->field_count;
    reading->field_count = 0;
    reading->marks = nullptr;
    JsonbIteratorNext(&iterator, &name, false);
    while (JsonbIteratorNext(&iterator, &name, true) == WJB_KEY) {
        JsonbIteratorNext(&iterator, &value, true);
        if (holds_marks(name, value)) {
            reading->marks = value.val.binary.data;
            continue;
        }
        const AttrNumber attnum = column_of(*reading, name, reading->field_count);
        reading->fields[reading->field_count++] = {attnum, value};
    }
}

/* The value outlives per_value, which may hold much more than that by now, but not the JSON. */
Value
read_field(Reading *reading, Field *field)
{
    Form_pg_attribute column =
        TupleDescAttr(reading->batch->target.descriptor(), field->attnum - 1);
    ColumnReader *&reader = reading->columns[field->attnum - 1].reader;

    if (reader == nullptr)
        reader = make_member_reader(column);
    if (const std::optional<Datum> number = read_number(*reader, field->value))
        return {*number, false};

    reading->column = column;
    MemoryContext old = MemoryContextSwitchTo(reading->per_value);
    Value value = read_member(*reader, &field->value, mark_of(*reading, column));
    MemoryContextSwitchTo(old);
    if (!value.isnull && !column->attbyval)
        value.datum = datumCopy(value.datum, false, column->attlen);
    reading->column = nullptr;
    return value;
}

/* Read the values of an element's given columns, and find its shape. */
void
read_given(Reading *reading, BatchRow *row, Shape *guess)
{
    GivenColumn *columns = reading->given_columns;
    int count = 0;

    for (int i = 0; i < reading->field_count; i++) {
        Field *field = &reading->fields[i];
        if (reading->columns[field->attnum - 1].role != Role::given)
            continue;
        columns[count].column =
            TupleDescAttr(reading->batch->target.descriptor(), field->attnum - 1);
        reading->given[count++] = read_field(reading, field);
    }
    auto *given = static_cast<Value *>(palloc(sizeof(Value) * (count + 1)));
    std::copy(reading->given, reading->given + count, given);
    row->given = given;
    row->shape = shape_of(reading->batch, columns, count, guess);
}

void
read_element(Reading *reading, JsonbContainer *object, BatchRow *row, Shape *guess)
{
    const Batch &batch = *reading->batch;
    int missing = batch.target.key_count + batch.compared_count;
    auto *key = static_cast<Value *>(palloc(sizeof(Value) * missing));
    Value *expected = key + batch.target.key_count;

    read_fields(reading, object);
    for (int i = 0; i < reading->field_count; i++) {
        Field *field = &reading->fields[i];
        const Column &column = reading->columns[field->attnum - 1];
        if (column.role == Role::key)
            key[column.place] = read_field(reading, field);
        else if (column.role == Role::compared)
            expected[column.place] = read_field(reading, field);
        else
            continue;
        missing--;
    }
    if (missing > 0)
        raise_lacks(*reading);
    for (int i = 0; i < batch.target.key_count; i++) {
        if (key[i].isnull)
            ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("element " UINT64_FORMAT " of \"%s\" has a null key", reading->element,
                           reading->argument),
                    errhint("Name an existing row by its key."),
                    errtablecol(batch.target.relation, batch.target.key[i].column->attnum));
    }
    row->key = key;
    row->expected = expected;
    row->version.isnull = true;
    row->shape = guess;
    if (batch.takes_values)
        read_given(reading, row, guess);
    MemoryContextReset(reading->per_value);
}

}  // namespace

void
read_rows(Batch *batch, Jsonb *elements)
{
    MemoryContext old = MemoryContextSwitchTo(batch->context);
    const bool is_array = JB_ROOT_IS_ARRAY(elements) && !JB_ROOT_IS_SCALAR(elements);
    Reading reading = begin_reading(batch, batch->argument);
    ErrorContextCallback context = {error_context_stack, occ_reading_context, &reading};
    Shape *guess = batch->shapes; /* that of all rows, if there is one change for all */

    if (!is_array && !JB_ROOT_IS_OBJECT(elements))
        raise_not_objects(batch->argument, true);
    if (!batch->takes_values && guess == nullptr)
        guess = shape_of(batch, nullptr, 0, nullptr);
    batch->count = is_array ? JB_ROOT_COUNT(elements) : 1;
    batch->rows = static_cast<BatchRow *>(MemoryContextAllocExtended(
        batch->context, sizeof(BatchRow) * (batch->count + 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
    batch->order = static_cast<BatchRow **>(
        MemoryContextAllocHuge(batch->context, sizeof(BatchRow *) * (batch->count + 1)));

    error_context_stack = &context;
    if (is_array) {
        JsonbIterator *iterator = JsonbIteratorInit(&elements->root);
        JsonbValue element;
        JsonbIteratorNext(&iterator, &element, false);
        while (JsonbIteratorNext(&iterator, &element, true) == WJB_ELEM) {
            CHECK_FOR_INTERRUPTS();
            BatchRow *row = &batch->rows[reading.element++];
            if (element.type != jbvBinary || !JsonContainerIsObject(element.val.binary.data))
                ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("element " UINT64_FORMAT " of \"%s\" is not a JSON object",
                               reading.element, batch->argument),
                        errhint("Pass rows as occ.snapshot() gives them, such as [{\"id\": 1, "
                                "\"version\": 3}]."));
            read_element(&reading, element.val.binary.data, row, guess);
            guess = row->shape;
        }
    }
    else {
        reading.element = 1;
        read_element(&reading, &elements->root, &batch->rows[0], guess);
    }
    error_context_stack = context.previous;
    sort_rows(batch);
    MemoryContextSwitchTo(old);
}

void
read_changes(Batch *batch, Jsonb *changes)
{
    MemoryContext old = MemoryContextSwitchTo(batch->context);
    Reading reading = begin_reading(batch, "changes");
    ErrorContextCallback context = {error_context_stack, occ_reading_context, &reading};
    BatchRow all = {};

    if (!JB_ROOT_IS_OBJECT(changes))
        raise_not_objects("changes", false);
    for (int i = 0; i < batch->target.descriptor()->natts; i++)
        reading.columns[i].role = Role::given;
    error_context_stack = &context;
    read_fields(&reading, &changes->root);
    read_given(&reading, &all, nullptr);
    error_context_stack = context.previous;
    if (all.shape->given_count == 0)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"changes\" names no column"),
                errhint("To move only the version, call occ.touch()."),
                errtable(batch->target.relation));
    for (int i = 0; i < all.shape->given_count; i++) {
        if (batch->target.guarded &&
            all.shape->given[i].column->attnum == batch->target.version.attnum)
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("\"changes\" cannot set the version column \"%s\"",
                           NameStr(batch->target.version_column)),
                    errhint("Leave it out: it moves by itself."),
                    errtablecol(batch->target.relation, batch->target.version.attnum));
    }
    batch->all_given = all.given;
    MemoryContextSwitchTo(old);
}

}  // namespace occ
