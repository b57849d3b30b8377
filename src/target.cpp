/* The table that a set function works on: see target.hpp. */
#include "pg.hpp"

#include "installed_guard.hpp"
#include "target.hpp"

namespace occ {

namespace {

/* A rule would write to other tables than the one that was asked for. */
void
check_rules(Relation relation)
{
    const RuleLock *rules = relation->rd_rules;

    for (int i = 0; rules != nullptr && i < rules->numLocks; i++) {
        if (rules->rules[i]->enabled != RULE_DISABLED &&
            (rules->rules[i]->event == CMD_UPDATE || rules->rules[i]->event == CMD_DELETE))
            ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("table \"%s\" has a rule for %s", RelationGetRelationName(relation),
                           rules->rules[i]->event == CMD_UPDATE ? "UPDATE" : "DELETE"),
                    errhint("Use a trigger instead of the rule."), errtable(relation));
    }
}

/* PostgreSQL asks for the right when it plans, and the plan may be another user's. */
void
check_schema(Relation relation)
{
    const Oid schema = RelationGetNamespace(relation);
    const AclResult result = isAnyTempNamespace(schema) ? ACLCHECK_OK : pg::schema_usage(schema);

    if (result != ACLCHECK_OK)
        aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

void
check_kind(Relation relation)
{
    const char relkind = relation->rd_rel->relkind;
    const bool is_view = relkind == RELKIND_VIEW || relkind == RELKIND_MATVIEW;

    if (!is_table(relkind))
        ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE),
                errmsg("\"%s\" is not a table", RelationGetRelationName(relation)),
                errhint(is_view ? "Name the table that the view reads."
                                : "Name a table, a partitioned table or a foreign table."),
                errtable(relation));
    if (IsSystemRelation(relation))
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied: \"%s\" is a system catalog",
                       RelationGetRelationName(relation)),
                errhint("The set functions write to ordinary tables only."), errtable(relation));
}

/* Fill in what the guard says.  Returns its option key. */
std::string_view
read_guard(Target *target, Needs needs)
{
    Relation relation = target->relation;
    const InstalledGuard installed = installed_guard(relation, target->guard_function);

    if (!installed.exists) {
        if (needs == Needs::guard)
            ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" is not guarded", RelationGetRelationName(relation)),
                    errdetail("So it has no version to compare."),
                    errhint("Guard it with occ.enable(%s), or call occ.update_safely() with "
                            "lock_fields.",
                            name_literal(target->relid())),
                    errtable(relation));
        return {};
    }
    if (!installed.sees_updates)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("the guard of table \"%s\" does not fire on updates",
                       RelationGetRelationName(relation)),
                errdetail("Nothing would move the version of its rows."),
                errhint("Enable trigger \"%s\", or guard the table with occ.enable(%s).",
                        NameStr(installed.name), name_literal(target->relid())),
                errtable(relation));

    const Options options = parse_options(installed.arguments.span());
    check_options(options, nullptr, nullptr);
    target->guarded = true;
    target->has_ignore = !options.ignore.empty();
    target->policy = options.policy;
    target->version = find_version_column(relation, options.version_column);
    check_policy(relation, target->version, options.policy);
    target->version_column = target->version_attribute()->attname;
    target->trigger = installed.name;
    find_columns(relation, options.key, "key");
    return options.key;
}

/* The operators of a column's type. */
void
use_type_operators(KeyPart *part, Relation relation)
{
    const TypeCacheEntry *type =
        lookup_type_cache(part->column->atttypid, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);

    if (!OidIsValid(type->eq_opr) || !OidIsValid(type->lt_opr))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
                errmsg("key column \"%s\" of type %s cannot be compared",
                       NameStr(part->column->attname), format_type_be(part->column->atttypid)),
                errhint("Name a key of types that have a btree operator class: key => '{...}'."),
                errtablecol(relation, part->column->attnum));
    part->equality = type->eq_opr;
    part->less = type->lt_opr;
}

/*
 * The operators of the key's index, so that two keys are the same here exactly
 * if they are the same there.  A column that no index has takes its type's, and
 * so does one of an index that is no B-tree: strategy numbers mean something
 * else there.  A key WITHOUT OVERLAPS (PostgreSQL 18) is a GiST index, and lets
 * no two rows be equal in all its columns, since empty ranges are refused; by
 * its own operator, &&, a period would name its neighbours as well.
 */
void
use_index_operators(KeyPart *part, Relation relation, Oid index)
{
    use_type_operators(part, relation);
    if (!OidIsValid(index))
        return;

    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
    if (!HeapTupleIsValid(tuple))
        return;
    auto *form = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    bool isnull;
    const auto *classes = reinterpret_cast<oidvector *>(
        DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indclass, &isnull)));
    const auto *collations = reinterpret_cast<oidvector *>(
        DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple, Anum_pg_index_indcollation, &isnull)));
    for (int i = 0; i < form->indnkeyatts; i++) {
        if (form->indkey.values[i] != part->column->attnum)
            continue;
        part->collation = collations->values[i];
        if (!is_btree(index))
            break;
        const Oid family = get_opclass_family(classes->values[i]);
        const Oid type = get_opclass_input_type(classes->values[i]);
        const Oid equality = get_opfamily_member(family, type, type, BTEqualStrategyNumber);
        const Oid less = get_opfamily_member(family, type, type, BTLessStrategyNumber);
        if (OidIsValid(equality) && OidIsValid(less)) {
            part->equality = equality;
            part->less = less;
        }
        break;
    }
    ReleaseSysCache(tuple);
}

void
read_key(Target *target, std::string_view key_option)
{
    const Key key = find_key(target->relid(), key_option);

    if (key.count == 0)
        ereport(
            ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("table \"%s\" has no key", RelationGetRelationName(target->relation)),
            errdetail("The set functions find rows by their key."),
            errhint("Add a primary key, or name unique columns when you guard the table: key => "
                    "'{...}'."),
            errtable(target->relation));
    const Oid index = OidIsValid(key.index) ? key.index : find_unique_index(target->relid(), key);
    target->key_count = key.count;
    target->key = static_cast<KeyPart *>(palloc0(sizeof(KeyPart) * key.count));
    for (int i = 0; i < key.count; i++) {
        KeyPart *part = &target->key[i];
        part->column = TupleDescAttr(target->descriptor(), key.attnums[i] - 1);
        if (key.attnums[i] == target->version.attnum)
            ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the version column of table \"%s\" is part of its key",
                           RelationGetRelationName(target->relation)),
                    errhint("Name the columns that tell rows apart: occ.enable(%s, key => "
                            "'{...}').",
                            name_literal(target->relid())),
                    errtablecol(target->relation, key.attnums[i]));
        part->collation = part->column->attcollation;
        use_index_operators(part, target->relation, index);
    }
}

bool
finds_foreign_tables(Relation relation)
{
    if (relation->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
        return true;
    if (!relation->rd_rel->relhassubclass)
        return false;

    ListCell *cell;
    foreach (cell, find_all_inheritors(RelationGetRelid(relation), NoLock, nullptr)) {
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
            return true;
    }
    return false;
}

/*
 * Does a column that is generated from changed ones belong to the key?  Where
 * BEFORE triggers may change anything, PostgreSQL takes all of them for changed.
 */
bool
changes_generated_key(Relation relation, const Bitmapset *changed, const Bitmapset *key)
{
    TupleDesc descriptor = RelationGetDescr(relation);
    const bool any = relation->trigdesc != nullptr && relation->trigdesc->trig_update_before_row;
    bool changes = false;

    for (int i = 0; i < descriptor->natts && !changes; i++) {
        const AttrNumber attnum = TupleDescAttr(descriptor, i)->attnum;
        Bitmapset *sources = nullptr;
        if (TupleDescAttr(descriptor, i)->attgenerated == '\0' ||
            !bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, key))
            continue;
        pull_varattnos(build_column_default(relation, attnum), 1, &sources);
        changes = any || bms_overlap(sources, changed);
    }
    return changes;
}

/* The same question for one table of a tree, whose columns may have other numbers. */
bool
changes_key_of(Relation relation, TupleDesc named, const Bitmapset *columns)
{
    Bitmapset *key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_KEY);
    Bitmapset *changed = nullptr;
    int column = -1;

    while ((column = bms_next_member(columns, column)) >= 0) {
        const AttrNumber attnum = find_column(RelationGetDescr(relation),
                                              NameStr(TupleDescAttr(named, column - 1)->attname));
        changed = bms_add_member(changed, attnum - FirstLowInvalidHeapAttributeNumber);
    }
    return bms_overlap(changed, key) || changes_generated_key(relation, changed, key) ||
           (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
            has_partition_attrs(relation, changed, nullptr));
}

}  // namespace

Target
open_target(FunctionCallInfo fcinfo, int argument, LOCKMODE lockmode, Needs needs)
{
    if (PG_ARGISNULL(argument))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("the relation is null"),
                errhint("Name a table."));

    const Oid relid = PG_GETARG_OID(argument);
    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u does not exist", relid), errhint("Name a table."));

    Target target = {};
    target.relation = open_table(relid, lockmode);
    check_kind(target.relation);
    if (lockmode != RowShareLock)
        check_rules(target.relation);
    check_schema(target.relation);
    target.columns = CreateTupleDescCopyConstr(RelationGetDescr(target.relation));
    target.guard_function = guard_function(fcinfo->flinfo->fn_oid);
    read_key(&target, read_guard(&target, needs));
    target.is_alone = target.relation->rd_rel->relkind == RELKIND_RELATION &&
                      !target.relation->rd_rel->relhassubclass;
    target.has_foreign_tables = finds_foreign_tables(target.relation);
    return target;
}

bool
has_guard(const Target &target, Oid relid)
{
    Relation relation = open_table(relid, AccessShareLock);
    const InstalledGuard installed = installed_guard(relation, target.guard_function);

    relation_close(relation, AccessShareLock);
    return installed.exists && installed.sees_updates;
}

bool
is_guarded_everywhere(const Target &target)
{
    ListCell *cell;

    foreach (cell, find_all_inheritors(target.relid(), AccessShareLock, nullptr)) {
        if (!has_guard(target, lfirst_oid(cell)))
            return false;
    }
    return true;
}

bool
changes_key(const Target &target, const Bitmapset *columns)
{
    bool changes = changes_key_of(target.relation, target.columns, columns);
    ListCell *cell;

    if (changes || !target.relation->rd_rel->relhassubclass)
        return changes;
    foreach (cell, find_all_inheritors(target.relid(), AccessShareLock, nullptr)) {
        Relation relation = open_table(lfirst_oid(cell), NoLock);
        changes = changes || changes_key_of(relation, target.columns, columns);
        relation_close(relation, NoLock);
    }
    return changes;
}

}  // namespace occ
