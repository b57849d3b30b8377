/* occ.disable(): take the guard off a table. */
#include "pg.hpp"

#include "installed_guard.hpp"
#include "relation.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_disable);
}

namespace occ {

namespace {

/*
 * Raise 55000 unless occ.enable() is known to have added the version column,
 * and it is still of that kind: another one may have its name by now.
 */
void
check_may_drop(Relation relation, const Options &options)
{
    const Oid relid = RelationGetRelid(relation);
    const char *column = options.version_column.data();
    const AttrNumber attnum = find_column(RelationGetDescr(relation), column);
    const char *detail = nullptr;

    if (attnum == InvalidAttrNumber)
        return;
    const FormData_pg_attribute *attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
    if (options.problem != OptionProblem::none || options.column != ColumnOrigin::added)
        detail = "The guard's arguments do not say that it has; those of occ_lock 1.1 never did.";
    else if (attribute->atttypid != INT8OID || !attribute->attnotnull ||
             attribute->attgenerated != '\0' || attribute->attidentity != '\0')
        detail =
            "The one that it has added was bigint NOT NULL, neither generated nor an identity.";
    if (detail == nullptr)
        return;
    ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("column \"%s\" of table \"%s\" is not one that occ.enable() has added", column,
                   RelationGetRelationName(relation)),
            errdetail("%s", detail),
            errhint("Call occ.disable(%s), and if the column shall go as well: ALTER TABLE %s DROP "
                    "COLUMN %s",
                    name_literal(relid), qualified_name(relid), quote_identifier(column)),
            errtablecol(relation, attnum));
}

/* Take the guard off one table.  Returns the version column's name, or null if there was none. */
const char *
unguard_table(Oid relid, Oid guard, bool drop_column)
{
    check_may_guard(relid);

    Relation relation = open_table(relid, AccessExclusiveLock);
    const InstalledGuard installed = installed_guard(relation, guard);
    const Options options = parse_options(installed.arguments.span());

    check_not_clone(relation, installed, "disable");
    if (installed.exists && drop_column)
        check_may_drop(relation, options);
    relation_close(relation, NoLock);

    if (!installed.exists)
        return nullptr;
    run_ddl(psprintf("DROP TRIGGER %s ON %s", quote_identifier(NameStr(installed.name)),
                     qualified_name(relid)));
    return options.version_column.data();
}

void
drop_version_column(Oid relid, const char *column)
{
    if (get_attnum(relid, column) == InvalidAttrNumber)
        ereport(NOTICE, errmsg("column \"%s\" of table \"%s\" does not exist, skipping", column,
                               get_rel_name(relid)));
    else
        run_ddl(psprintf("ALTER TABLE %s DROP COLUMN %s", qualified_name(relid),
                         quote_identifier(column)));
}

}  // namespace

}  // namespace occ

/*
 * occ.disable(relation regclass, drop_column boolean) RETURNS void
 *
 * A table that has no guard is left as it is, with a NOTICE.  Only a column that
 * occ.enable() has added is dropped; another one is an error (55000).
 */
Datum
occ_disable(PG_FUNCTION_ARGS)
{
    using namespace occ;

    if (PG_ARGISNULL(0))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("the relation to disable the guard of is null"),
                errhint("Name a table: occ.disable('product')."));

    const Oid relid = PG_GETARG_OID(0);
    const Oid guard = guard_function(fcinfo->flinfo->fn_oid);
    const bool drop_column = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
    const char *column = unguard_table(relid, guard, drop_column);

    ListCell *cell;
    foreach (cell, inheritance_children(relid, AccessExclusiveLock))
        unguard_table(lfirst_oid(cell), guard, false);
    if (column == nullptr)
        ereport(NOTICE, errmsg("table \"%s\" is not guarded", get_rel_name(relid)));
    else if (drop_column)
        drop_version_column(relid, column);
    PG_RETURN_VOID();
}
