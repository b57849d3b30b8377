/* SQL values as JSON text: see json.hpp. */
#include "pg.hpp"

#include "json.hpp"

namespace occ {

namespace {

constexpr int64 largest_exact_integer = int64{1} << 53;

void
append_integer(StringInfo json, int64 value)
{
    const bool exact = value >= -largest_exact_integer && value <= largest_exact_integer;

    appendStringInfo(json, exact ? INT64_FORMAT : "\"" INT64_FORMAT "\"", value);
}

/* Shortest form that reads back as the same value, whatever extra_float_digits says. */
template <class Float>
void
append_float(StringInfo json, Float value)
{
    char text[DOUBLE_SHORTEST_DECIMAL_LEN];

    if constexpr (sizeof(Float) == sizeof(float))
        float_to_shortest_decimal_buf(value, text);
    else
        double_to_shortest_decimal_buf(value, text);
    appendStringInfo(json, value - value == 0 ? "%s" : "\"%s\"", text);
}

/* A numeric as a number if a double holds it exactly enough to print it again. */
void
append_numeric(StringInfo json, const char *text)
{
    int digits = 0;
    bool finite = true;

    for (const char *c = text; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9')
            digits++;
        else if (*c != '-' && *c != '.')
            finite = false; /* NaN, Infinity */
    }
    appendStringInfo(json, finite && digits <= 15 ? "%s" : "\"%s\"", text);
}

void
append_text(StringInfo json, Datum value, Oid type)
{
    Oid output;
    bool is_varlena;

    getTypeOutputInfo(type, &output, &is_varlena);
    escape_json(json, OidOutputFunctionCall(output, value));
}

}  // namespace

void
append_json(StringInfo json, Datum value, Oid type, bool isnull)
{
    char time[MAXDATELEN + 1];

    if (isnull) {
        appendStringInfoString(json, "null");
        return;
    }
    const Oid base = getBaseType(type);
    switch (base) {
    case BOOLOID:
        appendStringInfoString(json, DatumGetBool(value) ? "true" : "false");
        break;
    case INT2OID:
        append_integer(json, DatumGetInt16(value));
        break;
    case INT4OID:
        append_integer(json, DatumGetInt32(value));
        break;
    case INT8OID:
        append_integer(json, DatumGetInt64(value));
        break;
    case OIDOID:
        append_integer(json, DatumGetObjectId(value));
        break;
    case FLOAT4OID:
        append_float(json, DatumGetFloat4(value));
        break;
    case FLOAT8OID:
        append_float(json, DatumGetFloat8(value));
        break;
    case NUMERICOID:
        append_numeric(json, DatumGetCString(DirectFunctionCall1(numeric_out, value)));
        break;
    case DATEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
        JsonEncodeDateTime(time, value, base, nullptr);
        escape_json(json, time);
        break;
    default:
        append_text(json, value, type);
        break;
    }
}

char *
json_of(Datum value, Oid type, bool isnull)
{
    StringInfoData json;

    initStringInfo(&json);
    append_json(&json, value, type, isnull);
    return json.data;
}

}  // namespace occ
