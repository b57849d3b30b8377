/* JSON values as values of a table's columns: see json_input.hpp. */
#include "pg.hpp"

#include "fixed_output.hpp"
#include "json.hpp"
#include "json_input.hpp"

namespace occ {

namespace {

/* Does a type have parts that JSON can express, so that a text will not do? */
bool
is_structured(Oid base_type)
{
    return base_type == JSONOID || base_type == JSONBOID || type_is_rowtype(base_type) ||
           OidIsValid(get_element_type(base_type));
}

/*
 * A call of jsonb_to_record() for a row of that one column.  It learns the row's
 * type from resultinfo, as it does in FROM ... AS r(column type).
 */
FunctionCallInfo
make_populate_call(Form_pg_attribute column)
{
    auto *call = static_cast<FunctionCallInfo>(palloc0(SizeForFunctionCallInfo(1)));
    auto *function = static_cast<FmgrInfo *>(palloc0(sizeof(FmgrInfo)));
    auto *result = makeNode(ReturnSetInfo);
    TupleDesc descriptor = CreateTemplateTupleDesc(1);

    TupleDescInitEntry(descriptor, 1, NameStr(column->attname), column->atttypid, column->atttypmod,
                       0);
    result->expectedDesc = BlessTupleDesc(descriptor);
    fmgr_info(F_JSONB_TO_RECORD, function);
    InitFunctionCallInfoData(*call, function, 1, InvalidOid, nullptr,
                             reinterpret_cast<Node *>(result));
    return call;
}

Value
populate(const ColumnReader &reader, JsonbValue *json)
{
    FunctionCallInfo call = reader.populate;
    TupleDesc descriptor = reinterpret_cast<ReturnSetInfo *>(call->resultinfo)->expectedDesc;
    JsonbParseState *state = nullptr;
    JsonbValue name;
    HeapTupleData tuple = {};
    Value value = {};

    name.type = jbvString;
    name.val.string.val = NameStr(reader.column->attname);
    name.val.string.len = static_cast<int>(strlen(name.val.string.val));
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    pushJsonbValue(&state, WJB_KEY, &name);
    pushJsonbValue(&state, WJB_VALUE, json);
    call->args[0].value =
        JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
    call->args[0].isnull = false;
    call->isnull = false;

    HeapTupleHeader row = DatumGetHeapTupleHeader(FunctionCallInvoke(call));
    tuple.t_data = row;
    tuple.t_len = HeapTupleHeaderGetDatumLength(row);
    value.datum = heap_getattr(&tuple, 1, descriptor, &value.isnull);
    return value;
}

/* A JSON value as the text that a type's input function reads; null for JSON null. */
char *
scalar_text(JsonbValue *value)
{
    switch (value->type) {
    case jbvNull:
        return nullptr;
    case jbvString:
        return pnstrdup(value->val.string.val, value->val.string.len);
    case jbvBool:
        return pstrdup(value->val.boolean ? "true" : "false");
    case jbvNumeric:
        return DatumGetCString(
            DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
    default:
        return JsonbToCString(nullptr, value->val.binary.data, value->val.binary.len);
    }
}

/* The value that a mark's text stands for, if it is that of the member. */
std::optional<Value>
read_mark(const ColumnReader &reader, JsonbValue *member, const JsonbValue &mark)
{
    char *text = pnstrdup(mark.val.string.val, mark.val.string.len);
    const int nest_level = set_portable_settings(TextSettings::monetary);
    const Datum datum = InputFunctionCall(const_cast<FmgrInfo *>(&reader.input), text,
                                          reader.io_parameter, reader.column->atttypmod);

    reset_settings(nest_level);
    ExactMember written = write_exactly(reader.exact, datum);
    if (!same_json(member, &written.value))
        return std::nullopt;
    return Value{datum, false};
}

}  // namespace

ColumnReader *
make_reader(Form_pg_attribute column)
{
    auto *reader = static_cast<ColumnReader *>(palloc0(sizeof(ColumnReader)));
    const Oid base_type = getBaseType(column->atttypid);
    Oid input;

    reader->column = column;
    reader->is_composite = type_is_rowtype(base_type);
    reader->is_domain = base_type != column->atttypid;
    getTypeInputInfo(column->atttypid, &input, &reader->io_parameter);
    fmgr_info(input, &reader->input);
    if (is_structured(base_type))
        reader->populate = make_populate_call(column);
    return reader;
}

std::optional<Datum>
read_number(const ColumnReader &reader, const JsonbValue &value)
{
    const Oid type = reader.column->atttypid;

    if (value.type != jbvNumeric)
        return std::nullopt;
    if (type == NUMERICOID && reader.column->atttypmod < 0)
        return NumericGetDatum(value.val.numeric);
    if (type != INT4OID && type != INT8OID)
        return std::nullopt;
    /* 1.0 is no integer to an input function. */
    if (DatumGetInt32(DirectFunctionCall1(numeric_scale, NumericGetDatum(value.val.numeric))) != 0)
        return std::nullopt;

    bool out_of_range = false;
    const int32 number = numeric_int4_opt_error(value.val.numeric, &out_of_range);
    if (out_of_range)
        return std::nullopt;
    /* The same where a Datum has 64 bits.  NOLINTNEXTLINE(bugprone-branch-clone) */
    return type == INT4OID ? Int32GetDatum(number) : Int64GetDatum(number);
}

Value
read_value(const ColumnReader &reader, JsonbValue *value)
{
    if (value->type == jbvNull && !reader.is_domain)
        return {Datum{0}, true};
    if (reader.populate != nullptr && value->type != jbvNull) {
        if (reader.is_composite && value->type != jbvString &&
            !(value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data)))
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("expected a JSON object for type %s",
                           format_type_be(reader.column->atttypid)),
                    errhint("Pass the composite value as an object of its fields."));
        return populate(reader, value);
    }

    /* A domain may refuse NULL, so its input function sees that, too. */
    char *text = scalar_text(value);
    const Datum datum = InputFunctionCall(const_cast<FmgrInfo *>(&reader.input), text,
                                          reader.io_parameter, reader.column->atttypmod);
    return {datum, text == nullptr};
}

ColumnReader *
make_member_reader(Form_pg_attribute column)
{
    ColumnReader *reader = make_reader(column);

    reader->casts = find_json_casts(column->atttypid);
    if (takes_text_marks(column->atttypid))
        reader->exact = make_exact_writer(column->atttypid);
    return reader;
}

Value
read_member(const ColumnReader &reader, JsonbValue *member, const JsonbValue *mark)
{
    const bool is_vouched_for = mark != nullptr && mark->type == jbvBool && mark->val.boolean;

    if (mark != nullptr && mark->type == jbvString && reader.exact != nullptr) {
        if (const std::optional<Value> value = read_mark(reader, member, *mark))
            return *value;
    }
    if (reader.casts != nullptr)
        refuse_cast_values(reader.casts, member, is_vouched_for, reader.column);
    return read_value(reader, member);
}

}  // namespace occ
