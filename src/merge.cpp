/* occ.merge(): two changes of one row made one, where they don't overlap. */
#include "pg.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_merge);
}

namespace occ {

namespace {

Jsonb *
object_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
    Jsonb *json = PG_GETARG_JSONB_P(number);

    if (!JB_ROOT_IS_OBJECT(json))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"%s\" must be a JSON object", name),
                errhint("Pass one row, as to_jsonb() makes it."));
    return json;
}

/* The value of a column, or null if the row does not have it. */
JsonbValue *
value_of(Jsonb *row, const JsonbValue &column)
{
    return getKeyJsonValueFromContainer(&row->root, column.val.string.val, column.val.string.len,
                                        nullptr);
}

/* As jsonb has it: 1.0 is 1. */
bool
equal(JsonbValue *a, JsonbValue *b)
{
    if (a == nullptr || b == nullptr)
        return a == b;
    return compareJsonbContainers(&JsonbValueToJsonb(a)->root, &JsonbValueToJsonb(b)->root) == 0;
}

/* What became of one column.  A row that lacks it leaves it as it was. */
struct Merged {
    JsonbValue *value;
    bool conflict;
};

Merged
merge_column(const JsonbValue &column, Jsonb *base, Jsonb *mine, Jsonb *theirs)
{
    JsonbValue *before = value_of(base, column);
    JsonbValue *my_value = value_of(mine, column);
    JsonbValue *their_value = value_of(theirs, column);

    if (their_value == nullptr)
        their_value = before;
    if (my_value == nullptr || equal(my_value, before) || equal(my_value, their_value))
        return {their_value, false};
    if (equal(their_value, before))
        return {my_value, false};
    return {their_value, true};
}

class Merge {
public:
    Merge(Jsonb *base, Jsonb *mine, Jsonb *theirs) : base_(base), mine_(mine), theirs_(theirs)
    {
        pushJsonbValue(&state_, WJB_BEGIN_OBJECT, nullptr);
    }

    /* Merge the columns of a row, but for those that other rows had before; these may be null. */
    void add_columns_of(Jsonb *row, Jsonb *done, Jsonb *also_done)
    {
        JsonbIterator *iterator = JsonbIteratorInit(&row->root);
        JsonbValue column;
        JsonbIteratorToken token;

        while ((token = JsonbIteratorNext(&iterator, &column, true)) != WJB_DONE) {
            if (token != WJB_KEY || (done != nullptr && value_of(done, column) != nullptr) ||
                (also_done != nullptr && value_of(also_done, column) != nullptr))
                continue;
            CHECK_FOR_INTERRUPTS();
            add(column, merge_column(column, base_, mine_, theirs_));
        }
    }

    Datum row()
    {
        return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state_, WJB_END_OBJECT, nullptr)));
    }

    Datum conflicts() const { return makeArrayResult(conflicts_, CurrentMemoryContext); }

private:
    Jsonb *base_;
    Jsonb *mine_;
    Jsonb *theirs_;
    JsonbParseState *state_ = nullptr;
    ArrayBuildState *conflicts_ = initArrayResult(TEXTOID, CurrentMemoryContext, false);

    void add(JsonbValue &column, const Merged &merged)
    {
        pushJsonbValue(&state_, WJB_KEY, &column);
        pushJsonbValue(&state_, WJB_VALUE, merged.value);
        if (merged.conflict)
            accumArrayResult(conflicts_,
                             PointerGetDatum(cstring_to_text_with_len(column.val.string.val,
                                                                      column.val.string.len)),
                             false, TEXTOID, CurrentMemoryContext);
    }
};

}  // namespace

}  // namespace occ

/*
 * occ.merge(base jsonb, mine jsonb, theirs jsonb, OUT merged jsonb, OUT
 * conflicts text[])
 *
 * base is a row as it was read, mine what it shall become, theirs what it has
 * become meanwhile.  A column that only one of the two changed has that
 * change; one that both changed, and not to the same value, is a conflict and
 * keeps theirs.  A column that a row lacks is not changed there.
 *
 * Errors: 22023 (an argument is not a JSON object).
 */
Datum
occ_merge(PG_FUNCTION_ARGS)
{
    using namespace occ;

    Jsonb *base = object_argument(fcinfo, 0, "base");
    Jsonb *mine = object_argument(fcinfo, 1, "mine");
    Jsonb *theirs = object_argument(fcinfo, 2, "theirs");
    TupleDesc descriptor;

    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("function returning record called in context that cannot accept it"));

    Merge merge(base, mine, theirs);
    merge.add_columns_of(base, nullptr, nullptr);
    merge.add_columns_of(mine, base, nullptr);
    merge.add_columns_of(theirs, base, mine);

    Datum values[] = {merge.row(), merge.conflicts()};
    bool nulls[] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}
