/* occ.merge(): two changes of one row made one, where they don't overlap. */
#include "pg.hpp"

#include "exact_json.hpp"
#include "json.hpp"
#include "json_input.hpp"
#include "relation.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_merge);
PG_FUNCTION_INFO_V1(occ_merge_by_types);
}

namespace occ {

namespace {

/* A member of an object, or null. */
JsonbValue *
member_of(JsonbContainer *object, const JsonbValue &name)
{
    return getKeyJsonValueFromContainer(object, name.val.string.val, name.val.string.len, nullptr);
}

/* One of the three, as an argument. */
struct Row {
    const char *name;
    Jsonb *json;
    JsonbContainer *marks; /* what occ.snapshot() says beside the columns, or null */

    /* The value of a column, or null if the row does not have it. */
    JsonbValue *value_of(const JsonbValue &column) const { return member_of(&json->root, column); }

    /* Is that member of the row no column? */
    bool holds_marks(const JsonbValue &member) const
    {
        return marks != nullptr && member.val.string.len == 0;
    }
};

Row
object_argument(FunctionCallInfo fcinfo, int number, const char *name)
{
    Jsonb *json = PG_GETARG_JSONB_P(number);

    if (!JB_ROOT_IS_OBJECT(json))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"%s\" must be a JSON object", name),
                errhint("Pass one row, as occ.snapshot() makes it."));
    const JsonbValue *marks = member_of(&json->root, json_name(marks_name));
    const bool are_marks = marks != nullptr && marks->type == jbvBinary &&
                           JsonContainerIsObject(marks->val.binary.data);
    return {name, json, are_marks ? marks->val.binary.data : nullptr};
}

/* A column's value in one row.  json is null if the row does not have it. */
struct Field {
    JsonbValue *json = nullptr;
    JsonbValue *mark = nullptr;     /* what stands beside it: see exact_json.hpp */
    bool may_have_mark = false;     /* or does its row come from something that knows none? */
    Value value = {Datum{0}, true}; /* if the table's types are known */

    bool has_text_mark() const { return mark != nullptr && mark->type == jbvString; }
};

/* What is known of a relation's columns.  It is not open: reading a value can run anybody's code.
 */
struct Columns {
    const char *relation;
    TupleDesc descriptor;

    Form_pg_attribute find(const JsonbValue &name, const Row &row) const;
};

/* A row of a view or a subquery has columns as well as one of a table. */
bool
has_rows(char relkind)
{
    switch (relkind) {
    case RELKIND_RELATION:
    case RELKIND_PARTITIONED_TABLE:
    case RELKIND_FOREIGN_TABLE:
    case RELKIND_VIEW:
    case RELKIND_MATVIEW:
        return true;
    default:
        return false;
    }
}

/* The lock is given back: who may not even read a table shall not keep its owner from altering it.
 */
Columns
columns_of(Oid relid)
{
    Relation relation = try_relation_open(relid, AccessShareLock);

    if (relation == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u does not exist", relid));
    if (!has_rows(relation->rd_rel->relkind))
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("\"%s\" is not a table", RelationGetRelationName(relation)),
                errhint("Name the table or view that the rows are of."), errtable(relation));
    const Columns columns = {pstrdup(RelationGetRelationName(relation)),
                             CreateTupleDescCopyConstr(RelationGetDescr(relation))};
    relation_close(relation, AccessShareLock);
    return columns;
}

Form_pg_attribute
Columns::find(const JsonbValue &name, const Row &row) const
{
    const AttrNumber attnum = find_column(
        descriptor, {name.val.string.val, static_cast<std::size_t>(name.val.string.len)});

    if (attnum == InvalidAttrNumber)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("column \"%.*s\" of relation \"%s\" does not exist", name.val.string.len,
                       name.val.string.val, relation),
                errdetail("\"%s\" has it as a member.", row.name),
                errhint("Members are columns of the table, with the names that they have there."));
    return TupleDescAttr(descriptor, attnum - 1);
}

/* What errors say of where they are. */
struct Place {
    const char *argument;
    const char *column;
};

extern "C" void
occ_merge_context(void *argument)
{
    const auto *place = static_cast<Place *>(argument);

    errcontext("\"%s\", column \"%s\"", place->argument, place->column);
}

/*
 * Read a value as the set functions do, so that occ.update() takes what they
 * take here.  But a string is compared only, so it need not be vouched for, which
 * would take a subtransaction, and those are not for parallel workers.
 */
Value
read(const ColumnReader &reader, const Row &row, const Field &field)
{
    JsonbValue vouched_for = {};
    Place place = {row.name, NameStr(reader.column->attname)};
    ErrorContextCallback context = {error_context_stack, occ_merge_context, &place};

    error_context_stack = &context;
    vouched_for.type = jbvBool;
    vouched_for.val.boolean = true;
    const Value value =
        read_member(reader, field.json, field.has_text_mark() ? field.mark : &vouched_for);
    error_context_stack = context.previous;
    return value;
}

/*
 * Do the marks of two equal members say the same?  A row that knows no marks
 * says nothing, but null without one is SQL NULL.
 */
bool
same_marks(const Field &a, const Field &b)
{
    if (a.has_text_mark() && b.has_text_mark())
        return same_json(a.mark, b.mark);
    if (!a.has_text_mark() && !b.has_text_mark())
        return true;
    const Field &unmarked = a.has_text_mark() ? b : a;
    return !unmarked.may_have_mark && unmarked.json->type != jbvNull;
}

/*
 * Are two values of a column one?  Not by the type's own equality, which may
 * overlook a change that somebody has made: citext has 'cup' and 'Cup' equal.
 */
bool
same(const Form_pg_attribute column, const Field &a, const Field &b)
{
    if (a.json == nullptr || b.json == nullptr)
        return a.json == b.json;
    if (same_json(a.json, b.json) && same_marks(a, b))
        return true;
    if (column == nullptr)
        return false;
    if (a.value.isnull || b.value.isnull)
        return a.value.isnull && b.value.isnull;
    if (getBaseType(column->atttypid) == NUMERICOID) /* 10.0 is 10, as in JSON */
        return DatumGetBool(DirectFunctionCall2(numeric_eq, a.value.datum, b.value.datum));
    return datum_image_eq(a.value.datum, b.value.datum, column->attbyval, column->attlen);
}

/* What became of one column.  A row that lacks it leaves it as it was. */
struct Merged {
    Field field;
    bool conflict;
};

/* column is null if the table's types are not known. */
Merged
merge_column(const Form_pg_attribute column, const Field &before, const Field &mine, Field theirs)
{
    if (theirs.json == nullptr)
        theirs = before;
    if (mine.json == nullptr)
        return {theirs, false};
    /* Nobody sets it but the table, so it is as the row has it, or occ.update() would refuse it. */
    const bool is_computed =
        column != nullptr &&
        (column->attgenerated != '\0' || column->attidentity == ATTRIBUTE_IDENTITY_ALWAYS);
    if ((is_computed && theirs.json != nullptr) || same(column, mine, before) ||
        same(column, mine, theirs))
        return {theirs, false};
    if (same(column, theirs, before))
        return {mine, false};
    return {theirs, true};
}

class Merge {
public:
    /* columns, which may be null, has the types of the values. */
    Merge(const Row &base, const Row &mine, const Row &theirs, const Columns *columns)
        : base_(base), mine_(mine), theirs_(theirs), columns_(columns)
    {
        pushJsonbValue(&state_, WJB_BEGIN_OBJECT, nullptr);
        pushJsonbValue(&marks_, WJB_BEGIN_OBJECT, nullptr);
        add_columns_of(base_, nullptr, nullptr);
        add_columns_of(mine_, &base_, nullptr);
        add_columns_of(theirs_, &base_, &mine_);
    }

    Datum row()
    {
        push_marks(&state_, pushJsonbValue(&marks_, WJB_END_OBJECT, nullptr));
        return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state_, WJB_END_OBJECT, nullptr)));
    }

    Datum conflicts() const { return makeArrayResult(conflicts_, CurrentMemoryContext); }

private:
    const Row base_;
    const Row mine_;
    const Row theirs_;
    const Columns *columns_;
    JsonbParseState *state_ = nullptr;
    JsonbParseState *marks_ = nullptr;
    ArrayBuildState *conflicts_ = initArrayResult(TEXTOID, CurrentMemoryContext, false);

    /* Merge the columns of a row, but for those that other rows had before; these may be null. */
    void add_columns_of(const Row &row, const Row *done, const Row *also_done)
    {
        JsonbIterator *iterator = JsonbIteratorInit(&row.json->root);
        JsonbValue name;
        JsonbIteratorToken token;

        while ((token = JsonbIteratorNext(&iterator, &name, true)) != WJB_DONE) {
            if (token != WJB_KEY || row.holds_marks(name) ||
                (done != nullptr && done->value_of(name) != nullptr) ||
                (also_done != nullptr && also_done->value_of(name) != nullptr))
                continue;
            CHECK_FOR_INTERRUPTS();
            Form_pg_attribute column = columns_ != nullptr ? columns_->find(name, row) : nullptr;
            const ColumnReader *reader = column != nullptr ? make_member_reader(column) : nullptr;
            const Field before = field(base_, name, reader);
            Field mine = field(mine_, name, reader);
            /* The text of what was read says nothing of what has been put in its place. */
            if (mine.has_text_mark() && before.has_text_mark() &&
                same_json(mine.mark, before.mark) && !same_json(mine.json, before.json))
                mine.mark = nullptr;
            add(name, merge_column(column, before, mine, field(theirs_, name, reader)));
        }
    }

    static Field field(const Row &row, const JsonbValue &name, const ColumnReader *reader)
    {
        Field field;

        field.json = row.value_of(name);
        field.may_have_mark = row.marks != nullptr;
        if (field.json != nullptr && row.marks != nullptr)
            field.mark = member_of(row.marks, name);
        if (field.json != nullptr && reader != nullptr)
            field.value = read(*reader, row, field);
        return field;
    }

    void add(JsonbValue &column, const Merged &merged)
    {
        pushJsonbValue(&state_, WJB_KEY, &column);
        pushJsonbValue(&state_, WJB_VALUE, merged.field.json);
        if (merged.field.mark != nullptr) {
            pushJsonbValue(&marks_, WJB_KEY, &column);
            pushJsonbValue(&marks_, WJB_VALUE, merged.field.mark);
        }
        if (merged.conflict)
            accumArrayResult(conflicts_,
                             PointerGetDatum(cstring_to_text_with_len(column.val.string.val,
                                                                      column.val.string.len)),
                             false, TEXTOID, CurrentMemoryContext);
    }
};

/* The result of occ.merge(), whose first three arguments are the rows. */
Datum
merge_rows(FunctionCallInfo fcinfo, const Columns *columns)
{
    const Row base = object_argument(fcinfo, 0, "base");
    const Row mine = object_argument(fcinfo, 1, "mine");
    const Row theirs = object_argument(fcinfo, 2, "theirs");
    TupleDesc descriptor;

    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("function returning record called in context that cannot accept it"));

    Merge merge(base, mine, theirs, columns);
    Datum values[] = {merge.row(), merge.conflicts()};
    bool nulls[] = {false, false};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

}  // namespace

}  // namespace occ

/*
 * occ.merge(base jsonb, mine jsonb, theirs jsonb, OUT merged jsonb, OUT
 * conflicts text[])
 *
 * base is a row as it was read, mine what it shall become, theirs what it has
 * become meanwhile.  A column that only one of the two changed has that
 * change; one that both changed, and not to the same value, is a conflict and
 * keeps theirs.  A column that a row lacks is not changed there.  What
 * occ.snapshot() says beside a value goes where that goes.
 *
 * Errors: 22023 (an argument is not a JSON object).
 */
Datum
occ_merge(PG_FUNCTION_ARGS)
{
    return occ::merge_rows(fcinfo, nullptr);
}

/*
 * occ.merge(base jsonb, mine jsonb, theirs jsonb, relation regclass, OUT merged
 * jsonb, OUT conflicts text[])
 *
 * The same for rows of a relation, whose values may be spelled differently.  A
 * value stays as it is spelled where it comes from.
 *
 * Errors: those above; 42P01, 42809 (not there, or has no rows); 42703, and
 * what the columns' types say of a value, with argument and column in the
 * context.
 */
Datum
occ_merge_by_types(PG_FUNCTION_ARGS)
{
    const occ::Columns columns = occ::columns_of(PG_GETARG_OID(3));

    return occ::merge_rows(fcinfo, &columns);
}
