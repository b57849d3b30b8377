/* What a batch starts with: its table, its arguments, what it compares.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"

namespace occ {

namespace {

/* An argument that is one of the names of E; null stands for the first one. */
template <class E>
E
choice_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
    if (PG_ARGISNULL(argument))
        return E{};

    const char *value = text_to_cstring(PG_GETARG_TEXT_PP(argument));
    StringInfoData valid;
    initStringInfo(&valid);
    for (std::size_t i = 0; i < names_of<E>.size(); i++) {
        if (names_of<E>[i] == value)
            return static_cast<E>(i);
        appendStringInfo(&valid, "%s\"%s\"",
                         i == 0                       ? ""
                         : i + 1 < names_of<E>.size() ? ", "
                                                      : " and ",
                         names_of<E>[i].data());
    }
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("invalid value \"%s\" for \"%s\"", value, name),
            errhint("Valid values are %s.", valid.data));
    pg_unreachable();
}

void
compare_version(Batch *batch)
{
    batch->compared = static_cast<ComparedColumn *>(palloc0(sizeof(ComparedColumn)));
    batch->compared[0].column = batch->target.version_attribute();
    batch->compared_count = 1;
}

/* The column that a lock field names. */
ComparedColumn
lock_field(const Target &target, Datum name, bool isnull)
{
    Relation relation = target.relation;

    if (isnull)
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a lock field is null"),
                errhint("Name columns of the table."), errtable(relation));
    const char *text = NameStr(*DatumGetName(name));
    const AttrNumber attnum = find_column(target.descriptor(), text);
    if (attnum == InvalidAttrNumber)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                errmsg("column \"%s\" of relation \"%s\" does not exist", text,
                       RelationGetRelationName(relation)),
                errdetail("\"lock_fields\" names that column."),
                errhint("Name columns of the table."), errtable(relation));

    ComparedColumn compared = {TupleDescAttr(target.descriptor(), attnum - 1), nullptr};
    for (int i = 0; i < target.key_count; i++) {
        if (target.key[i].column->attnum == attnum)
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("key column \"%s\" cannot be a lock field", text),
                    errhint("Rows are found by their key, so it is as it was read. Name columns "
                            "that may have changed."),
                    errtablecol(relation, attnum));
    }
    if (target.guarded && attnum == target.version.attnum)
        return compared; /* the version's own arithmetic knows its time_precision */
    compared.equals = equality_of(compared.column);
    if (compared.equals == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
                errmsg("lock field \"%s\" of type %s cannot be compared", text,
                       format_type_be(compared.column->atttypid)),
                errhint("Name columns of types that have an = operator."),
                errtablecol(relation, attnum));
    return compared;
}

void
compare_lock_fields(Batch *batch, ArrayType *lock_fields)
{
    Datum *names;
    bool *nulls;
    int count;

    if (ARR_NDIM(lock_fields) > 1)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"lock_fields\" has more than one dimension"),
                errhint("Name the columns in one list."), errtable(batch->target.relation));
    deconstruct_array(lock_fields, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &names, &nulls,
                      &count);
    if (count == 0)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"lock_fields\" is empty"),
                errhint("Name the columns to compare, or leave it out to compare the version."),
                errtable(batch->target.relation));
    batch->compared = static_cast<ComparedColumn *>(palloc0(sizeof(ComparedColumn) * count));
    for (int i = 0; i < count; i++) {
        const ComparedColumn compared = lock_field(batch->target, names[i], nulls[i]);
        for (int k = 0; k < i; k++) {
            if (batch->compared[k].column == compared.column)
                ereport(
                    ERROR, errcode(ERRCODE_DUPLICATE_COLUMN),
                    errmsg("lock field \"%s\" is named twice", NameStr(compared.column->attname)),
                    errhint("Name each column once."),
                    errtablecol(batch->target.relation, compared.column->attnum));
        }
        batch->compared[i] = compared;
    }
    batch->compared_count = count;
    batch->by_lock_fields = true;
}

}  // namespace

FmgrInfo *
equality_of(Form_pg_attribute column)
{
    TypeCacheEntry *type = lookup_type_cache(column->atttypid, TYPECACHE_EQ_OPR_FINFO);

    if (!OidIsValid(type->eq_opr_finfo.fn_oid))
        return nullptr;
    auto *equals = static_cast<FmgrInfo *>(palloc(sizeof(FmgrInfo)));
    fmgr_info_copy(equals, &type->eq_opr_finfo, CurrentMemoryContext);
    return equals;
}

Batch *
begin_batch(FunctionCallInfo fcinfo, const char *argument, LOCKMODE lockmode,
            ArrayType *lock_fields)
{
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "occ_lock batch", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    auto *batch = static_cast<Batch *>(palloc0(sizeof(Batch)));

    batch->context = context;
    batch->argument = argument;
    batch->shapes_end = &batch->shapes;
    batch->target =
        open_target(fcinfo, 0, lockmode, lock_fields == nullptr ? Needs::guard : Needs::key);
    if (lock_fields == nullptr)
        compare_version(batch);
    else
        compare_lock_fields(batch, lock_fields);
    MemoryContextSwitchTo(old);
    return batch;
}

void
end_batch(Batch *batch)
{
    relation_close(batch->target.relation, NoLock);
    MemoryContextDelete(batch->context);
}

OnConflict
on_conflict_argument(FunctionCallInfo fcinfo, int argument)
{
    return choice_argument<OnConflict>(fcinfo, argument, "on_conflict");
}

RowLock
row_lock_argument(FunctionCallInfo fcinfo, int argument)
{
    return choice_argument<RowLock>(fcinfo, argument, "lock");
}

Jsonb *
json_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
    if (PG_ARGISNULL(argument))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("\"%s\" is null", name),
                errhint("Pass JSON. An empty array names no rows."));
    return PG_GETARG_JSONB_P(argument);
}

}  // namespace occ
