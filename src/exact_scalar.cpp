/* Values that are neither arrays nor composite, as JSON: see exact_scalar.hpp. */
#include "pg.hpp"

#include <limits>

#include "exact_scalar.hpp"
#include "json_cast.hpp"

namespace occ {

namespace {

JsonbValue
boolean_value(bool boolean)
{
    JsonbValue value = {};

    value.type = jbvBool;
    value.val.boolean = boolean;
    return value;
}

JsonbValue
string_value(const char *text)
{
    JsonbValue value = {};
    const std::size_t length = strlen(text);

    if (length > JENTRY_OFFLENMASK)
        ereport(ERROR, errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                errmsg("string too long to represent as jsonb string"),
                errdetail("Due to an implementation restriction, jsonb strings cannot exceed %d "
                          "bytes.",
                          JENTRY_OFFLENMASK));
    value.type = jbvString;
    value.val.string.val = const_cast<char *>(text);
    value.val.string.len = static_cast<int>(length);
    return value;
}

JsonbValue
numeric_value(Numeric number)
{
    JsonbValue value = {};

    value.type = jbvNumeric;
    value.val.numeric = number;
    return value;
}

JsonbValue
integer_value(int64 number)
{
    if (!fits_double(number))
        return string_value(psprintf(INT64_FORMAT, number));
    return numeric_value(int64_to_numeric(number));
}

JsonbValue
number_value(Numeric number)
{
    const char *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));

    return fits_double(text) ? numeric_value(number) : string_value(text);
}

/*
 * The shortest text that reads back as the same float, whatever
 * extra_float_digits says.  A JSON number becomes a numeric on its way, which
 * knows no -0.
 */
JsonbValue
float_value(Form form, Datum value)
{
    auto *text = static_cast<char *>(palloc(DOUBLE_SHORTEST_DECIMAL_LEN));

    if (form == Form::float4)
        float_to_shortest_decimal_buf(DatumGetFloat4(value), text);
    else
        double_to_shortest_decimal_buf(DatumGetFloat8(value), text);
    if (strpbrk(text, "nN") != nullptr || strcmp(text, "-0") == 0)
        return string_value(text);
    return numeric_value(DatumGetNumeric(DirectFunctionCall3(
        numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))));
}

/* ISO 8601 */
JsonbValue
time_value(Datum value, Oid type)
{
    return string_value(
        JsonEncodeDateTime(static_cast<char *>(palloc(MAXDATELEN + 1)), value, type, nullptr));
}

/*
 * Might jsonb not hold what is in a json?  It has no \u0000 and no half of a
 * surrogate pair, no character that the server's encoding lacks, and its numbers
 * are not as large.  Says so of some that it could hold, too, which does no harm.
 */
bool
may_exceed_jsonb(const char *json)
{
    constexpr int many_digits = 1000;
    const bool is_utf8 = GetDatabaseEncoding() == PG_UTF8;
    int digits = 0;

    for (const char *c = json; *c != '\0'; c++) {
        digits = *c >= '0' && *c <= '9' ? digits + 1 : 0;
        if (digits > many_digits)
            return true;
        if (c[0] == '\\' && c[1] == 'u' &&
            (!is_utf8 || strncmp(c + 2, "0000", 4) == 0 || c[2] == 'd' || c[2] == 'D'))
            return true;
        if ((*c == 'e' || *c == 'E') && c > json && c[-1] >= '0' && c[-1] <= '9' &&
            strspn(c + 1, "+-0123456789") > 3)
            return true;
    }
    return false;
}

ExactMember
write_json(Datum value)
{
    const char *source = TextDatumGetCString(value);

    if (may_exceed_jsonb(source))
        return {string_value(source), string_value(source)};
    Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(source)));
    ExactMember member = {value_of_jsonb(json), null_value()};
    if (member.value.type == jbvNull ||
        strcmp(JsonbToCString(nullptr, &json->root, VARSIZE(json)), source) != 0)
        member.mark = string_value(source);
    return member;
}

ExactMember
write_jsonb(Datum value)
{
    const JsonbValue json = value_of_jsonb(DatumGetJsonbP(value));

    return {json, json.type == jbvNull ? string_value("null") : null_value()};
}

}  // namespace

bool
fits_double(int64 integer)
{
    constexpr int64 largest_exact = int64{1} << 53;

    return integer >= -largest_exact && integer <= largest_exact;
}

bool
fits_double(const char *numeric)
{
    constexpr int always_exact = std::numeric_limits<double>::digits10;
    int digits = 0;

    for (const char *c = numeric; *c != '\0'; c++) {
        if (*c >= '0' && *c <= '9')
            digits++;
        else if (*c != '-' && *c != '.')
            return false;
    }
    return digits <= always_exact;
}

JsonbValue
null_value()
{
    JsonbValue value = {};

    value.type = jbvNull;
    return value;
}

ExactMember
write_scalar(Form form, TextOutput *output, Datum value)
{
    switch (form) {
    case Form::boolean:
        return {boolean_value(DatumGetBool(value)), null_value()};
    case Form::int2:
        return {integer_value(DatumGetInt16(value)), null_value()};
    case Form::int4:
        return {integer_value(DatumGetInt32(value)), null_value()};
    case Form::int8:
        return {integer_value(DatumGetInt64(value)), null_value()};
    case Form::float4:
    case Form::float8:
        return {float_value(form, value), null_value()};
    case Form::numeric:
        return {number_value(DatumGetNumeric(value)), null_value()};
    case Form::date:
        return {time_value(value, DATEOID), null_value()};
    case Form::timestamp:
        return {time_value(value, TIMESTAMPOID), null_value()};
    case Form::timestamptz:
        return {time_value(value, TIMESTAMPTZOID), null_value()};
    case Form::json:
        return write_json(value);
    case Form::jsonb:
        return write_jsonb(value);
    case Form::xml: /* its output function leaves out the declaration */
        return {string_value(TextDatumGetCString(value)), null_value()};
    case Form::oid:
        return {string_value(psprintf("%u", DatumGetObjectId(value))), null_value()};
    case Form::cast:
        return {string_value(portable_text(output, value)), boolean_value(true)};
    case Form::money: {
        const JsonbValue text = string_value(portable_text(output, value));
        return {text, text};
    }
    case Form::text:
    case Form::array:
    case Form::composite:
        break;
    }
    return {string_value(portable_text(output, value)), null_value()};
}

bool
is_named_oid(Oid type)
{
    switch (type) {
    case REGCLASSOID:
    case REGCOLLATIONOID:
    case REGCONFIGOID:
    case REGDICTIONARYOID:
    case REGNAMESPACEOID:
    case REGOPEROID:
    case REGOPERATOROID:
    case REGPROCOID:
    case REGPROCEDUREOID:
    case REGROLEOID:
    case REGTYPEOID:
        return true;
    default:
        return false;
    }
}

Form
form_of(Oid type)
{
    switch (type) {
    case BOOLOID:
        return Form::boolean;
    case INT2OID:
        return Form::int2;
    case INT4OID:
        return Form::int4;
    case INT8OID:
        return Form::int8;
    case NUMERICOID:
        return Form::numeric;
    case FLOAT4OID:
        return Form::float4;
    case FLOAT8OID:
        return Form::float8;
    case DATEOID:
        return Form::date;
    case TIMESTAMPOID:
        return Form::timestamp;
    case TIMESTAMPTZOID:
        return Form::timestamptz;
    case JSONOID:
        return Form::json;
    case JSONBOID:
        return Form::jsonb;
    case XMLOID:
        return Form::xml;
    case MONEYOID:
        return Form::money;
    default:
        break;
    }
    if (is_named_oid(type))
        return Form::oid;
    if (OidIsValid(get_element_type(type)))
        return Form::array;
    if (type_is_rowtype(type))
        return Form::composite;
    return OidIsValid(json_cast_of(type)) ? Form::cast : Form::text;
}

bool
takes_text_marks(Oid type)
{
    const Oid base = getBaseType(type);

    return base == JSONOID || base == JSONBOID || base == MONEYOID;
}

bool
may_need_marks(Oid type)
{
    return takes_text_marks(type) || OidIsValid(json_cast_of(getBaseType(type)));
}

JsonbValue
json_name(std::string_view name)
{
    JsonbValue value = {};

    value.type = jbvString;
    value.val.string.val = const_cast<char *>(name.data());
    value.val.string.len = static_cast<int>(name.size());
    return value;
}

JsonbValue
value_of_jsonb(Jsonb *json)
{
    JsonbValue value = {};

    if (JB_ROOT_IS_SCALAR(json))
        JsonbExtractScalar(&json->root, &value);
    else {
        value.type = jbvBinary;
        value.val.binary.data = &json->root;
        value.val.binary.len = static_cast<int>(VARSIZE_ANY_EXHDR(json));
    }
    return value;
}

}  // namespace occ
