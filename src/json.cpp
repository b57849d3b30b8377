/* SQL values as JSON text: see json.hpp. */
#include "pg.hpp"

#include "exact_scalar.hpp"
#include "json.hpp"

namespace occ {

namespace {

JsonScalar
integer(int64 value)
{
    auto *text = static_cast<char *>(palloc(MAXINT8LEN + 1));

    pg_lltoa(value, text);
    return {fits_double(value) ? JsonScalar::Kind::number : JsonScalar::Kind::string, text};
}

/* Shortest form that reads back as the same value, whatever extra_float_digits says. */
template <class Float>
JsonScalar
floating(Float value)
{
    auto *text = static_cast<char *>(palloc(DOUBLE_SHORTEST_DECIMAL_LEN));

    if constexpr (sizeof(Float) == sizeof(float))
        float_to_shortest_decimal_buf(value, text);
    else
        double_to_shortest_decimal_buf(value, text);
    return {value - value == 0 ? JsonScalar::Kind::number : JsonScalar::Kind::string, text};
}

/* A numeric as a number if a double holds it exactly enough to print it again. */
JsonScalar
decimal(Datum value)
{
    const char *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

    return {fits_double(text) ? JsonScalar::Kind::number : JsonScalar::Kind::string, text};
}

JsonScalar
string(Datum value, Oid type)
{
    if (is_named_oid(type))
        return {JsonScalar::Kind::string, psprintf("%u", DatumGetObjectId(value))};
    TextOutput output = text_output(type);
    return {JsonScalar::Kind::string, portable_text(&output, value)};
}

}  // namespace

JsonScalar
json_scalar(Datum value, Oid type, bool isnull)
{
    if (isnull)
        return {JsonScalar::Kind::null, "null"};

    switch (type) {
    case BOOLOID:
        return {JsonScalar::Kind::boolean, DatumGetBool(value) ? "true" : "false"};
    case INT2OID:
        return integer(DatumGetInt16(value));
    case INT4OID:
        return integer(DatumGetInt32(value));
    case INT8OID:
        return integer(DatumGetInt64(value));
    case OIDOID:
        return integer(DatumGetObjectId(value));
    case FLOAT4OID:
        return floating(DatumGetFloat4(value));
    case FLOAT8OID:
        return floating(DatumGetFloat8(value));
    case NUMERICOID:
        return decimal(value);
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
        return {
            JsonScalar::Kind::string,
            JsonEncodeDateTime(static_cast<char *>(palloc(MAXDATELEN + 1)), value, type, nullptr)};
    case JSONBOID: {
        Jsonb *json = DatumGetJsonbP(value);
        return {JsonScalar::Kind::json, JsonbToCString(nullptr, &json->root, VARSIZE(json))};
    }
    default:
        break;
    }
    const Oid base = getBaseType(type);
    return base == type ? string(value, type) : json_scalar(value, base, false);
}

void
append_json(StringInfo json, Datum value, Oid type, bool isnull)
{
    const JsonScalar scalar = json_scalar(value, type, isnull);

    if (scalar.kind == JsonScalar::Kind::string)
        escape_json(json, scalar.text);
    else
        appendStringInfoString(json, scalar.text);
}

void
append_json_member(StringInfo json, bool is_first, const char *name, Datum value, Oid type,
                   bool isnull)
{
    appendStringInfoChar(json, is_first ? '{' : ',');
    escape_json(json, name);
    appendStringInfoChar(json, ':');
    append_json(json, value, type, isnull);
}

char *
json_of(Datum value, Oid type, bool isnull)
{
    StringInfoData json;

    initStringInfo(&json);
    append_json(&json, value, type, isnull);
    char *copy = pstrdup(json.data); /* a list may hold many, and the buffer is large */
    pfree(json.data);
    return copy;
}

JsonbValue
jsonb_of(Datum datum, Oid type)
{
    JsonbValue value;

    /* The same as below without a detour by text: keys and versions mostly are integers. */
    if (type == INT4OID || (type == INT8OID && fits_double(DatumGetInt64(datum)))) {
        value.type = jbvNumeric;
        value.val.numeric =
            int64_to_numeric(type == INT4OID ? DatumGetInt32(datum) : DatumGetInt64(datum));
        return value;
    }

    const JsonScalar scalar = json_scalar(datum, type, false);
    switch (scalar.kind) {
    case JsonScalar::Kind::null:
        value.type = jbvNull;
        break;
    case JsonScalar::Kind::json:
        return value_of_jsonb(DatumGetJsonbP(datum));
    case JsonScalar::Kind::boolean:
        value.type = jbvBool;
        value.val.boolean = scalar.text[0] == 't';
        break;
    case JsonScalar::Kind::number:
        value.type = jbvNumeric;
        value.val.numeric =
            DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(scalar.text),
                                                ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
        break;
    case JsonScalar::Kind::string:
        value.type = jbvString;
        value.val.string.val = const_cast<char *>(scalar.text);
        value.val.string.len = static_cast<int>(strlen(scalar.text));
        break;
    }
    return value;
}

bool
same_json(JsonbValue *a, JsonbValue *b)
{
    return compareJsonbContainers(&JsonbValueToJsonb(a)->root, &JsonbValueToJsonb(b)->root) == 0;
}

}  // namespace occ
