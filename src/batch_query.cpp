/* What the queries of a batch have in common: see batch_query.hpp. */
#include "pg.hpp"

#include "batch_query.hpp"

namespace occ {

namespace {

/* Does the key's index compare by another collation than the column's? */
bool
has_own_collation(const KeyPart &part)
{
    return OidIsValid(part.collation) && part.collation != part.column->attcollation;
}

char *
qualified_collation(Oid collation)
{
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for collation %u", collation);
    auto *form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(tuple));
    char *name = quote_qualified_identifier(get_namespace_name(form->collnamespace),
                                            NameStr(form->collname));
    ReleaseSysCache(tuple);
    return name;
}

/* A type without a length.  format_type_be() makes char(1) of it where it is bpchar. */
char *
type_in_sql(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* The type that both sides of an equality operator have. */
Oid
operand_type(Oid operator_oid)
{
    Oid left;
    Oid right;

    op_input_types(operator_oid, &left, &right);
    return right;
}

char *
qualified_operator(Oid operator_oid)
{
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));

    if (!HeapTupleIsValid(tuple))
        elog(ERROR, "cache lookup failed for operator %u", operator_oid);
    auto *form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
    char *name =
        psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
                 NameStr(form->oprname));
    ReleaseSysCache(tuple);
    return name;
}

/* Is the version the one that was read?  Any time is that of a row whose own is infinite. */
void
append_version_condition(StringInfo sql, const Target &target)
{
    const char *version = quote_identifier(NameStr(target.version_column));
    const bool is_float = target.version.kind == VersionKind::double_precision;

    appendStringInfo(sql, "(t.%s OPERATOR(pg_catalog.=) i.version", version);
    if (is_float)
        appendStringInfo(sql,
                         " OR t.%s OPERATOR(pg_catalog.=) "
                         "ANY ('{NaN,Infinity,-Infinity}'::pg_catalog.float8[])",
                         version);
    else if (is_time(target.version.kind))
        appendStringInfo(sql, " OR NOT pg_catalog.isfinite(t.%s)", version);
    appendStringInfoChar(sql, ')');
}

}  // namespace

RowsRelation::RowsRelation(const Batch &batch, int added)
    : key_count(batch.target.key_count), described(1 + batch.target.key_count),
      descriptor(CreateTemplateTupleDesc(described + added))
{
    TupleDescInitEntry(descriptor, 1, "number", INT8OID, -1, 0);
    for (int i = 0; i < key_count; i++) {
        Form_pg_attribute column = batch.target.key[i].column;
        const auto attnum = static_cast<AttrNumber>(2 + i);
        TupleDescInitEntry(descriptor, attnum, psprintf("k%d", i + 1), column->atttypid,
                           column->atttypmod, column->attndims);
        TupleDescInitEntryCollation(descriptor, attnum, column->attcollation);
    }
    values = static_cast<Datum *>(palloc(sizeof(Datum) * descriptor->natts));
    nulls = static_cast<bool *>(palloc(sizeof(bool) * descriptor->natts));
    rows = tuplestore_begin_heap(false, false, work_mem);
}

void
RowsRelation::describe_column(const char *name, Oid type, int32 typmod, Oid collation)
{
    const auto attnum = static_cast<AttrNumber>(++described);

    TupleDescInitEntry(descriptor, attnum, name, type, typmod, 0);
    TupleDescInitEntryCollation(descriptor, attnum, collation);
}

void
RowsRelation::add_row(std::uint64_t number, const Value *key, const Value *added)
{
    values[0] = Int64GetDatum(static_cast<int64>(number));
    nulls[0] = false;
    for (int i = 1; i < described; i++) {
        const Value &value = i <= key_count ? key[i - 1] : added[i - 1 - key_count];
        values[i] = value.datum;
        nulls[i] = value.isnull;
    }
    tuplestore_putvalues(rows, descriptor, values, nulls);
}

NamedRows
RowsRelation::named(double estimate) const
{
    return {"occ_rows", descriptor, rows, estimate};
}

void
append_result(StringInfo sql, List **types, const char *expression, Oid type)
{
    appendStringInfo(sql, "%s%s", *types != NIL ? ", " : "", expression);
    *types = lappend_oid(*types, type);
}

void
append_result(StringInfo sql, List **types, Form_pg_attribute column)
{
    append_result(sql, types, psprintf("t.%s", column_in_sql(column)), column->atttypid);
}

void
append_key_condition(StringInfo sql, const Batch &batch)
{
    const Target &target = batch.target;
    int parameter = 0;

    for (int i = 0; i < target.key_count; i++) {
        const KeyPart &part = target.key[i];
        const Oid base = getBaseType(part.column->atttypid);
        const char *column = psprintf("t.%s", column_in_sql(part.column));
        const char *value = psprintf("i.k%d", i + 1);

        if (i > 0)
            appendStringInfoString(sql, " AND ");
        if (has_own_collation(part))
            value = psprintf("(%s COLLATE %s)", value, qualified_collation(part.collation));
        /* A domain over an enum does not match anyenum, nor varchar(5)[] anyarray. */
        if (base == part.column->atttypid &&
            !(part.column->atttypmod >= 0 && IsPolymorphicType(operand_type(part.equality))))
            generate_operator_clause(sql, column, base, part.equality, value, base);
        else {
            const char *type = type_in_sql(base);
            generate_operator_clause(sql, psprintf("(%s)::%s", column, type), base, part.equality,
                                     psprintf("(%s)::%s", value, type), base);
        }

        const Oid array = key_array_type(batch, part);
        if (OidIsValid(array))
            appendStringInfo(sql, " AND %s %s ANY ($%d::%s)", column,
                             qualified_operator(part.equality), ++parameter, type_in_sql(array));
    }
}

void
append_row_condition(StringInfo sql, const Batch &batch, Find find)
{
    /* In a tree, the key leads to the right table first. */
    if (find != Find::by_place || !batch.target.is_alone) {
        append_key_condition(sql, batch);
        if (find == Find::by_key)
            return;
        appendStringInfoString(sql, " AND ");
    }
    if (find == Find::by_version)
        append_version_condition(sql, batch.target);
    else if (find == Find::by_place && batch.target.is_alone)
        appendStringInfoString(sql, "t.ctid OPERATOR(pg_catalog.=) i.tid");
    else if (find == Find::by_place)
        appendStringInfoString(sql, "t.tableoid OPERATOR(pg_catalog.=) i.table_oid AND "
                                    "t.ctid OPERATOR(pg_catalog.=) i.tid");
    else
        appendStringInfoString(sql, "(t.tableoid OPERATOR(pg_catalog.<>) i.table_oid OR "
                                    "t.ctid OPERATOR(pg_catalog.<>) i.tid)");
}

Oid
key_array_type(const Batch &batch, const KeyPart &part)
{
    if (!batch.target.has_foreign_tables || has_own_collation(part))
        return InvalidOid;

    /* The operator's own type, text for varchar: a cast would not be sent to the other server. */
    const Oid type = operand_type(part.equality);
    if (!IsPolymorphicType(type))
        return get_array_type(type);
    return getBaseType(part.column->atttypid) == part.column->atttypid
               ? get_array_type(part.column->atttypid)
               : InvalidOid;
}

char *
table_in_sql(const Batch &batch)
{
    return psprintf("%s%s", batch.target.is_alone ? "ONLY " : "",
                    qualified_name(batch.target.relid()));
}

const char *
column_in_sql(Form_pg_attribute column)
{
    return quote_identifier(NameStr(column->attname));
}

}  // namespace occ
