/* Types that have a cast of their own to json: see json_cast.hpp. */
#include "pg.hpp"

#include "json_cast.hpp"
#include "relation.hpp"

namespace occ {

struct JsonCasts {
    Oid type;          /* no domain */
    Oid cast;          /* its function, if it is such a type */
    JsonCasts *inside; /* in the elements of an array; else in the first field that has some */
    JsonCasts *next;   /* in the next field */
    NameData field;
};

namespace {

/* What a composite type has in its fields. */
JsonCasts *
find_in_fields(Oid type)
{
    TupleDesc descriptor = lookup_rowtype_tupdesc_copy(type, -1);
    JsonCasts *fields = nullptr;

    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute field = TupleDescAttr(descriptor, i);
        JsonCasts *found = field->attisdropped ? nullptr : find_json_casts(field->atttypid);
        if (found == nullptr)
            continue;
        found->field = field->attname;
        found->next = fields;
        fields = found;
    }
    return fields;
}

/* The value that a type's text stands for. */
Datum
read_text(Oid type, const JsonbValue &text)
{
    Oid input;
    Oid io_parameter;

    getTypeInputInfo(type, &input, &io_parameter);
    return OidInputFunctionCall(input, pnstrdup(text.val.string.val, text.val.string.len),
                                io_parameter, -1);
}

/* Does the cast make a string of that value?  The result is JSON, which may begin with blanks. */
bool
gives_string(Oid cast, Datum value)
{
    const char *json = TextDatumGetCString(OidFunctionCall1(cast, value));

    return json[strspn(json, " \t\n\r")] == '"';
}

/* An error that says nothing of the value, such as a cancel or a deadlock. */
bool
comes_from_outside(int sqlerrcode)
{
    const int category = ERRCODE_TO_CATEGORY(sqlerrcode);

    return category == ERRCODE_TRANSACTION_ROLLBACK || category == ERRCODE_OPERATOR_INTERVENTION ||
           category == ERRCODE_INSUFFICIENT_RESOURCES || category == ERRCODE_SYSTEM_ERROR;
}

/*
 * The same for a value that the cast may refuse: to_jsonb() has made nothing of
 * it then.  Not inlined: setjmp() must not meet the variables of the caller.
 */
pg_noinline bool
may_give_string(Oid cast, Datum value)
{
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    volatile bool gives = false;
    ErrorData *volatile outside = nullptr;

    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        gives = gives_string(cast, value);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData *error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
        if (comes_from_outside(error->sqlerrcode))
            outside = error;
    }
    PG_END_TRY();

    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (outside != nullptr)
        ReThrowError(outside);
    return gives;
}

[[noreturn]] void
raise_inexact(Oid type, bool is_string, Form_pg_attribute column)
{
    const char *name = format_type_be(type);

    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("value of type %s may not be the one that was read", name),
            errdetail("Type %s has a cast to json, by which to_jsonb() writes its values%s.", name,
                      is_string ? ", and which makes strings" : ""),
            is_string ? errhint("Read the row with occ.snapshot(). If the string is the type's own "
                                "text, say so beside it: {\"%s\": ..., \"\": {\"%s\": true}}.",
                                NameStr(column->attname), NameStr(column->attname))
                      : errhint("Read the row with occ.snapshot(), or write the value as a string, "
                                "in the form that type %s has as text.",
                                name),
            (set_table_fields(column->attrelid),
             err_generic_string(PG_DIAG_COLUMN_NAME, NameStr(column->attname))));
    pg_unreachable();
}

/* The elements of a JSON array, and of those that it has for an array's other dimensions. */
void
refuse_in_elements(JsonCasts *element, JsonbContainer *array, bool is_vouched_for,
                   Form_pg_attribute column)
{
    JsonbIterator *iterator = JsonbIteratorInit(array);
    JsonbValue value;

    check_stack_depth();
    JsonbIteratorNext(&iterator, &value, false);
    while (JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM) {
        CHECK_FOR_INTERRUPTS();
        if (value.type == jbvBinary && JsonContainerIsArray(value.val.binary.data))
            refuse_in_elements(element, value.val.binary.data, is_vouched_for, column);
        else
            refuse_cast_values(element, &value, is_vouched_for, column);
    }
}

}  // namespace

Oid
json_cast_of(Oid base_type)
{
    Oid function = InvalidOid;

    /* As to_jsonb() has it.  It looks for casts of types that are not PostgreSQL's own. */
    if (base_type < FirstNormalObjectId || OidIsValid(get_element_type(base_type)) ||
        type_is_rowtype(base_type))
        return InvalidOid;
    if (find_coercion_pathway(JSONOID, base_type, COERCION_EXPLICIT, &function) !=
        COERCION_PATH_FUNC)
        return InvalidOid;
    return function;
}

JsonCasts *
find_json_casts(Oid type)
{
    const Oid base = getBaseType(type);
    const Oid element = get_element_type(base);
    JsonCasts found = {base, json_cast_of(base), nullptr, nullptr, {}};

    check_stack_depth();
    if (OidIsValid(element))
        found.inside = find_json_casts(element);
    else if (type_is_rowtype(base) && base != RECORDOID)
        found.inside = find_in_fields(base);
    if (!OidIsValid(found.cast) && found.inside == nullptr)
        return nullptr;
    auto *casts = static_cast<JsonCasts *>(palloc(sizeof(JsonCasts)));
    *casts = found;
    return casts;
}

void
refuse_cast_values(JsonCasts *casts, JsonbValue *value, bool is_vouched_for,
                   Form_pg_attribute column)
{
    const bool is_container = value->type == jbvBinary;

    if (value->type == jbvNull)
        return;
    if (OidIsValid(casts->cast)) {
        const bool is_string = value->type == jbvString;
        if (!is_string)
            raise_inexact(casts->type, false, column);
        if (!is_vouched_for && may_give_string(casts->cast, read_text(casts->type, *value)))
            raise_inexact(casts->type, true, column);
    }
    else if (is_container && JsonContainerIsArray(value->val.binary.data) &&
             OidIsValid(get_element_type(casts->type)))
        refuse_in_elements(casts->inside, value->val.binary.data, is_vouched_for, column);
    else if (is_container && JsonContainerIsObject(value->val.binary.data)) {
        for (JsonCasts *field = casts->inside; field != nullptr; field = field->next) {
            JsonbValue *given = getKeyJsonValueFromContainer(
                value->val.binary.data, NameStr(field->field),
                static_cast<int>(strlen(NameStr(field->field))), nullptr);
            if (given != nullptr)
                refuse_cast_values(field, given, is_vouched_for, column);
        }
    }
}

}  // namespace occ
