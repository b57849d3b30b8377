/* What the guard needs to know of a table: see relation.hpp. */
#include "pg.hpp"

#include "relation.hpp"

namespace occ {

namespace {

/* Call action with every valid unique index of a relation that is not partial. */
template <class Action>
void
for_each_unique_index(Oid relid, const Action &action)
{
    ScanKeyData scan_key;
    Relation catalog = table_open(IndexRelationId, AccessShareLock);

    ScanKeyInit(&scan_key, Anum_pg_index_indrelid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(relid));
    SysScanDesc scan =
        systable_beginscan(catalog, IndexIndrelidIndexId, true, nullptr, 1, &scan_key);
    while (HeapTuple tuple = systable_getnext(scan)) {
        auto *index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
        if (index->indisunique && index->indisvalid && index->indislive &&
            heap_attisnull(tuple, Anum_pg_index_indpred, nullptr))
            action(*index);
    }
    systable_endscan(scan);
    table_close(catalog, AccessShareLock);
}

bool
is_not_null(Oid relid, AttrNumber attnum)
{
    HeapTuple tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attnum));
    bool not_null = false;

    if (HeapTupleIsValid(tuple)) {
        not_null = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple))->attnotnull;
        ReleaseSysCache(tuple);
    }
    return not_null;
}

/* The columns of a unique index, if they can name a row. */
bool
index_key(const FormData_pg_index &index, Key *key)
{
    key->count = index.indnkeyatts;
    for (int i = 0; i < key->count; i++) {
        key->attnums[i] = index.indkey.values[i];
        if (key->attnums[i] <= 0 || !is_not_null(index.indrelid, key->attnums[i]))
            return false; /* an expression, or nullable */
    }
    return true;
}

[[noreturn]] void
raise_missing_column(Relation relation, std::string_view name, const char *option)
{
    ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
            errmsg("column \"%s\" of relation \"%s\" does not exist",
                   pnstrdup(name.data(), name.size()), RelationGetRelationName(relation)),
            errdetail("The option \"%s\" names that column.", option),
            errhint("Call occ.enable(%s, ...) with the columns that the table has now.",
                    name_literal(RelationGetRelid(relation))),
            errtable(relation));
    pg_unreachable();
}

/* The version column is not there; it may have been once. */
[[noreturn]] void
raise_no_version_column(Relation relation, std::string_view name)
{
    char *column = pnstrdup(name.data(), name.size());
    char *table = name_literal(RelationGetRelid(relation));

    if (SystemAttributeByName(column) != nullptr)
        ereport(ERROR, errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                errmsg("system column \"%s\" cannot hold a version", column),
                errhint("Use an ordinary column."), errtable(relation));
    ereport(
        ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
        errmsg("column \"%s\" of relation \"%s\" does not exist", column,
               RelationGetRelationName(relation)),
        errdetail("The guard of this table keeps its version there."),
        errhint("If it was renamed, call occ.enable(%s, version_column => '<its new name>'); if "
                "it is gone, call occ.disable(%s).",
                table, table),
        errtable(relation));
    pg_unreachable();
}

}  // namespace

bool
version_kind_of(Oid type, VersionKind *kind)
{
    switch (type) {
    case INT2OID:
        *kind = VersionKind::smallint;
        return true;
    case INT4OID:
        *kind = VersionKind::integer;
        return true;
    case INT8OID:
        *kind = VersionKind::bigint;
        return true;
    case TIMESTAMPOID:
        *kind = VersionKind::timestamp;
        return true;
    case TIMESTAMPTZOID:
        *kind = VersionKind::timestamptz;
        return true;
    case FLOAT8OID:
        *kind = VersionKind::double_precision;
        return true;
    case UUIDOID:
        *kind = VersionKind::uuid;
        return true;
    default:
        return false;
    }
}

AttrNumber
find_column(TupleDesc descriptor, std::string_view name)
{
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && name == NameStr(attribute->attname))
            return attribute->attnum;
    }
    return InvalidAttrNumber;
}

VersionColumn
find_version_column(Relation relation, std::string_view name)
{
    const AttrNumber attnum = find_column(RelationGetDescr(relation), name);

    if (attnum == InvalidAttrNumber)
        raise_no_version_column(relation, name);

    Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
    VersionColumn column = {attnum, attribute->atttypid, attribute->atttypmod,
                            attribute->attnotnull, VersionKind::bigint};

    if (!version_kind_of(column.type, &column.kind))
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("column \"%s\" of type %s cannot hold a version",
                       NameStr(attribute->attname), format_type_be(column.type)),
                errhint("Use a column of type smallint, integer, bigint, timestamptz, timestamp, "
                        "double precision or uuid."),
                errtablecol(relation, attnum));
    if (attribute->attgenerated != '\0')
        ereport(
            ERROR, errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
            errmsg("generated column \"%s\" cannot hold a version", NameStr(attribute->attname)),
            errhint("Use an ordinary column."), errtablecol(relation, attnum));
    if (attribute->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
        ereport(ERROR, errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                errmsg("identity column \"%s\" cannot hold a version", NameStr(attribute->attname)),
                errdetail("An UPDATE can't state a value for a column GENERATED ALWAYS."),
                errhint("Use an ordinary column."), errtablecol(relation, attnum));
    return column;
}

void
check_policy(Relation relation, const VersionColumn &column, const Policy &policy)
{
    if (policy.token == Token::next && !has_known_next(column.kind))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("token \"next\" does not work with a version of type %s",
                       format_type_be(column.type)),
                errdetail("A client can't know the next version of such a column."),
                errhint("Use token \"auto\", \"read\" or \"advance\"."), errtable(relation));
    if (policy.time_precision != TimePrecision::us && !is_time(column.kind))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("time_precision does not work with a version of type %s",
                       format_type_be(column.type)),
                errhint("Leave out time_precision: it is for timestamp, timestamptz and double "
                        "precision."),
                errtable(relation));
}

Bitmapset *
find_columns(Relation relation, std::string_view literal, const char *option)
{
    Bitmapset *columns = nullptr;
    NameList names(literal);
    std::array<char, max_identifier + 1> name;
    std::size_t length;

    if (literal.empty())
        return nullptr;
    while (names.next(name, &length) == NameList::Step::name) {
        const AttrNumber attnum = find_column(RelationGetDescr(relation), {name.data(), length});
        if (attnum == InvalidAttrNumber)
            raise_missing_column(relation, {name.data(), length}, option);
        columns = bms_add_member(columns, attnum);
    }
    return columns;
}

Key
find_key(Oid relid, std::string_view key_option)
{
    Key best;

    if (!key_option.empty()) {
        NameList names(key_option);
        std::array<char, max_identifier + 1> name;
        std::size_t length;
        while (names.next(name, &length) == NameList::Step::name) {
            const AttrNumber attnum = get_attnum(relid, name.data());
            if (attnum > 0 && best.count < INDEX_MAX_KEYS)
                best.attnums[best.count++] = attnum;
        }
        return best;
    }

    const bool is_partition = get_rel_relispartition(relid);
    Oid best_index = InvalidOid;
    int best_rank = -1;
    for_each_unique_index(relid, [&](const FormData_pg_index &index) {
        const bool inherited = is_partition && get_rel_relispartition(index.indexrelid);
        const int rank =
            4 * int{inherited} + 2 * int{index.indisprimary} + int{index.indisreplident};
        Key key;
        if ((rank > best_rank || (rank == best_rank && index.indexrelid < best_index)) &&
            index_key(index, &key)) {
            best = key;
            best.index = best_index = index.indexrelid;
            best_rank = rank;
        }
    });
    return best;
}

ArrayType *
name_array(Datum *names, int count)
{
    return construct_array(names, count, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);
}

ArrayType *
key_names(Oid relid, const Key &key)
{
    Datum names[INDEX_MAX_KEYS];
    int count = 0;

    for (int i = 0; i < key.count; i++) {
        const char *column = get_attname(relid, key.attnums[i], true);
        if (column != nullptr) /* without a lock it may just have been dropped */
            names[count++] = DirectFunctionCall1(namein, CStringGetDatum(column));
    }
    return name_array(names, count);
}

bool
is_btree(Oid index)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index));

    if (!HeapTupleIsValid(tuple))
        return false;
    const bool result = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relam == BTREE_AM_OID;
    ReleaseSysCache(tuple);
    return result;
}

Oid
find_unique_index(Oid relid, const Key &key)
{
    Bitmapset *columns = nullptr;
    Oid found = InvalidOid;
    bool found_btree = false;

    for (int i = 0; i < key.count; i++)
        columns = bms_add_member(columns, key.attnums[i]);
    for_each_unique_index(relid, [&](const FormData_pg_index &index) {
        bool covered = true;
        for (int i = 0; i < index.indnkeyatts; i++)
            covered = covered && index.indkey.values[i] > 0 &&
                      bms_is_member(index.indkey.values[i], columns);
        if (!covered)
            return;
        const bool btree = is_btree(index.indexrelid);
        if (!OidIsValid(found) || (btree && !found_btree) ||
            (btree == found_btree && index.indexrelid < found)) {
            found = index.indexrelid;
            found_btree = btree;
        }
    });
    return found;
}

Oid
root_of(Relation relation)
{
    if (!relation->rd_rel->relispartition)
        return RelationGetRelid(relation);
    List *ancestors = get_partition_ancestors(RelationGetRelid(relation));
    const Oid root = ancestors == NIL ? RelationGetRelid(relation) : llast_oid(ancestors);
    list_free(ancestors);
    return root;
}

char *
qualified_name(Oid relid)
{
    return quote_qualified_identifier(get_namespace_name_or_temp(get_rel_namespace(relid)),
                                      get_rel_name(relid));
}

char *
name_literal(Oid relid)
{
    return quote_literal_cstr(qualified_name(relid));
}

void
set_table_fields(Oid relid)
{
    err_generic_string(PG_DIAG_SCHEMA_NAME, get_namespace_name(get_rel_namespace(relid)));
    err_generic_string(PG_DIAG_TABLE_NAME, get_rel_name(relid));
}

void
raise_two_guards(Relation relation, const char *one, const char *other)
{
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("table \"%s\" has two guards", RelationGetRelationName(relation)),
            errdetail("Triggers \"%s\" and \"%s\" both execute occ.guard().", one, other),
            errhint("Drop one of them."), errtable(relation));
    pg_unreachable();
}

bool
is_before_update_row(const Trigger &trigger)
{
    return TRIGGER_FOR_ROW(trigger.tgtype) && TRIGGER_FOR_BEFORE(trigger.tgtype) &&
           TRIGGER_FOR_UPDATE(trigger.tgtype) &&
           (trigger.tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
            trigger.tgenabled == TRIGGER_FIRES_ALWAYS);
}

}  // namespace occ
