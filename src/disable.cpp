/* occ.disable(): take the guard off a table. */
#include "pg.hpp"

#include "installed_guard.hpp"
#include "relation.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_disable);
}

namespace occ {

namespace {

/* Take the guard off one table.  Returns the version column's name, or null if there was none. */
const char *
unguard_table(Oid relid, Oid guard)
{
    check_may_guard(relid);

    Relation relation = open_table(relid, AccessExclusiveLock);
    const InstalledGuard installed = installed_guard(relation, guard);

    check_not_clone(relation, installed, "disable");
    relation_close(relation, NoLock);

    if (!installed.exists)
        return nullptr;
    run_ddl(psprintf("DROP TRIGGER %s ON %s", quote_identifier(NameStr(installed.name)),
                     qualified_name(relid)));
    return parse_options(installed.arguments.span()).version_column.data();
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
 * A table that has no guard is left as it is, with a NOTICE.
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
    const char *column = unguard_table(relid, guard);

    ListCell *cell;
    foreach (cell, inheritance_children(relid, AccessExclusiveLock))
        unguard_table(lfirst_oid(cell), guard);
    if (column == nullptr)
        ereport(NOTICE, errmsg("table \"%s\" is not guarded", get_rel_name(relid)));
    else if (!PG_ARGISNULL(1) && PG_GETARG_BOOL(1))
        drop_version_column(relid, column);
    PG_RETURN_VOID();
}
