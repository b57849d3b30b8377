/* occ.conflicts(): the DETAIL of a conflict, given back as rows. */
#include "pg.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_conflicts);
}

namespace occ {

namespace {

[[noreturn]] void
raise_not_a_detail()
{
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("text is not the DETAIL of an optimistic lock conflict"),
            errhint("Pass PG_EXCEPTION_DETAIL of an error with SQLSTATE PT409."));
    pg_unreachable();
}

extern "C" void
occ_explain_bad_json(void *)
{
    if (geterrcode() == ERRCODE_INVALID_TEXT_REPRESENTATION)
        errhint("Pass PG_EXCEPTION_DETAIL of an error with SQLSTATE PT409.");
}

Jsonb *
parse(const char *text)
{
    ErrorContextCallback context = {error_context_stack, occ_explain_bad_json, nullptr};

    error_context_stack = &context;
    Jsonb *json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
    error_context_stack = context.previous;
    return json;
}

JsonbValue *
field(JsonbContainer *object, const char *name)
{
    return getKeyJsonValueFromContainer(object, name, static_cast<int>(strlen(name)), nullptr);
}

/* A version as text, or lock fields as the text of their object.  Returns false for null. */
bool
compared_text(const JsonbValue *value, Datum *result)
{
    switch (value->type) {
    case jbvNull:
        return false;
    case jbvString:
        *result =
            PointerGetDatum(cstring_to_text_with_len(value->val.string.val, value->val.string.len));
        return true;
    case jbvNumeric:
        *result = PointerGetDatum(cstring_to_text(DatumGetCString(
            DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)))));
        return true;
    case jbvBinary:
        if (JsonContainerIsObject(value->val.binary.data)) {
            *result = PointerGetDatum(cstring_to_text(
                JsonbToCString(nullptr, value->val.binary.data, value->val.binary.len)));
            return true;
        }
        break;
    default:
        break;
    }
    raise_not_a_detail();
}

void
put_row(ReturnSetInfo *set, JsonbContainer *row)
{
    static constexpr const char *texts[] = {"status", "expected", "actual"};
    Datum values[4] = {};
    bool nulls[4] = {};

    JsonbValue *key = field(row, "key");
    if (key == nullptr)
        raise_not_a_detail();
    nulls[0] = key->type == jbvNull;
    if (!nulls[0])
        values[0] = PointerGetDatum(JsonbValueToJsonb(key));
    for (int i = 0; i < 3; i++) {
        const JsonbValue *value = field(row, texts[i]);
        if (value == nullptr)
            raise_not_a_detail();
        nulls[i + 1] = !compared_text(value, &values[i + 1]);
    }
    tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

}  // namespace

}  // namespace occ

/*
 * occ.conflicts(detail text) RETURNS TABLE (key jsonb, status text,
 * expected text, actual text)
 *
 * Errors: 22P02 (not JSON), 22023 (not a conflict's DETAIL).
 */
Datum
occ_conflicts(PG_FUNCTION_ARGS)
{
    using namespace occ;

    ReturnSetInfo *set = pg::materialize(fcinfo);
    Jsonb *detail = parse(text_to_cstring(PG_GETARG_TEXT_PP(0)));
    const JsonbValue *rows = JB_ROOT_IS_OBJECT(detail) ? field(&detail->root, "rows") : nullptr;

    if (rows == nullptr || rows->type != jbvBinary || !JsonContainerIsArray(rows->val.binary.data))
        raise_not_a_detail();
    for (uint32 i = 0; i < JsonContainerSize(rows->val.binary.data); i++) {
        const JsonbValue *row = getIthJsonbValueFromContainer(rows->val.binary.data, i);
        CHECK_FOR_INTERRUPTS();
        if (row->type != jbvBinary || !JsonContainerIsObject(row->val.binary.data))
            raise_not_a_detail();
        put_row(set, row->val.binary.data);
    }
    return Datum{0};
}
