/* The guard as an object in the catalogues: see installed_guard.hpp. */
#include "pg.hpp"

#include "installed_guard.hpp"
#include "relation.hpp"

namespace occ {

namespace {

/* A relation of a kind that can't be guarded. */
[[noreturn]] void
raise_wrong_kind(Oid relid, const char *name, char relkind)
{
    const bool is_view = relkind == RELKIND_VIEW || relkind == RELKIND_MATVIEW;

    ereport(ERROR, errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("\"%s\" is not a table", name),
            is_view ? errhint("Guard the tables that the view reads: updates through the view are "
                              "checked there.")
                    : errhint("Only tables, partitioned tables and foreign tables can be guarded."),
            (set_table_fields(relid), 0));
    pg_unreachable();
}

constexpr const char *guard_function_name = "guard";

/*
 * Is that function the guard, and not one that the owner of the schema has put
 * in its place?  Only superusers make functions in C.
 */
bool
is_ours(Oid function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    bool ours = false;

    if (!HeapTupleIsValid(tuple))
        return false;
    if (reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == ClanguageId) {
        bool isnull;
        const Datum symbol = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
        ours = !isnull && strcmp(TextDatumGetCString(symbol), "occ_guard") == 0;
    }
    ReleaseSysCache(tuple);
    return ours;
}

}  // namespace

void
check_may_guard(Oid relid)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

    if (!HeapTupleIsValid(tuple))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u does not exist", relid));

    auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    char *name = pstrdup(NameStr(form->relname));
    const char relkind = form->relkind;
    const bool is_system = IsSystemClass(relid, form);
    const bool is_other_temp =
        form->relpersistence == RELPERSISTENCE_TEMP && isOtherTempNamespace(form->relnamespace);
    ReleaseSysCache(tuple);

    if (!is_table(relkind))
        raise_wrong_kind(relid, name, relkind);
    if (is_system)
        ereport(ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                errmsg("permission denied: \"%s\" is a system catalog", name),
                errhint("Only ordinary tables can be guarded."), (set_table_fields(relid), 0));
    if (!pg::owns_relation(relid))
        aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(relkind), name);
    if (is_other_temp)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("\"%s\" is a temporary table of another session", name),
                errhint("Only its own session can guard it."));
}

Relation
open_table(Oid relid, LOCKMODE lockmode)
{
    Relation relation = try_relation_open(relid, lockmode);

    if (relation == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_TABLE),
                errmsg("relation with OID %u does not exist", relid),
                errdetail("It was dropped meanwhile."));
    return relation;
}

/* Looked up without asking for rights on the schema, which those who fire triggers do not need
 * either. */
Oid
guard_function(Oid sibling)
{
    const Oid schema = get_func_namespace(sibling);
    const Oid function =
        GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(guard_function_name),
                        PointerGetDatum(buildoidvector(nullptr, 0)), ObjectIdGetDatum(schema));

    if (!OidIsValid(function) || !is_ours(function))
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_FUNCTION),
                errmsg("function %s() does not exist",
                       quote_qualified_identifier(get_namespace_name(schema), guard_function_name)),
                OidIsValid(function)
                    ? errdetail("The function of that name is not the one of occ_lock.")
                    : 0,
                errhint("Install the extension occ_lock again."));
    return function;
}

InstalledGuard
installed_guard(Relation relation, Oid function)
{
    const TriggerDesc *triggers = relation->trigdesc;
    InstalledGuard guard;

    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (trigger.tgfoid != function)
            continue;
        if (guard.exists)
            raise_two_guards(relation, NameStr(guard.name), trigger.tgname);
        guard.exists = true;
        namestrcpy(&guard.name, trigger.tgname);
        guard.is_clone = trigger.tgisclone;
        guard.is_plain =
            trigger.tgnattr == 0 && trigger.tgqual == nullptr &&
            trigger.tgtype ==
                trigger_type(parse_options(arguments_of(trigger).span()).policy.deletes);
        guard.enabled = trigger.tgenabled;
        guard.sees_updates = is_before_update_row(trigger);
        for (int k = 0; k < trigger.tgnargs; k++)
            guard.arguments.add(pstrdup(trigger.tgargs[k]));
    }
    return guard;
}

void
check_not_clone(Relation relation, const InstalledGuard &installed, const char *function)
{
    if (installed.exists && installed.is_clone)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("partition \"%s\" is guarded by its partitioned table",
                       RelationGetRelationName(relation)),
                errhint("Call occ.%s(%s) for all partitions.", function,
                        name_literal(root_of(relation))),
                errtable(relation));
}

void
check_installed(Relation relation, const InstalledGuard &installed)
{
    const TriggerDesc *triggers = relation->trigdesc;

    check_not_clone(relation, installed, "enable");
    if (installed.exists && strcmp(NameStr(installed.name), guard_name) != 0)
        ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT),
                errmsg("table \"%s\" is already guarded by trigger \"%s\"",
                       RelationGetRelationName(relation), NameStr(installed.name)),
                errhint("Change that trigger, or drop it first."), errtable(relation));
    for (int i = 0; !installed.exists && triggers != nullptr && i < triggers->numtriggers; i++) {
        if (strcmp(triggers->triggers[i].tgname, guard_name) == 0)
            ereport(ERROR, errcode(ERRCODE_DUPLICATE_OBJECT),
                    errmsg("trigger \"%s\" of table \"%s\" is not a guard", guard_name,
                           RelationGetRelationName(relation)),
                    errhint("Rename it: occ.enable() needs that name."), errtable(relation));
    }
}

bool
check_partitions(Oid relid, Oid function)
{
    bool all_enabled = true;
    ListCell *cell;

    foreach (cell, find_all_inheritors(relid, ShareRowExclusiveLock, nullptr)) {
        if (lfirst_oid(cell) == relid)
            continue;
        Relation partition = open_table(lfirst_oid(cell), NoLock);
        const InstalledGuard guard = installed_guard(partition, function);
        if (guard.exists && !guard.is_clone)
            ereport(
                ERROR, errcode(ERRCODE_DUPLICATE_OBJECT),
                errmsg("partition \"%s\" has a guard of its own",
                       RelationGetRelationName(partition)),
                errhint("Call occ.disable(%s) first.", name_literal(RelationGetRelid(partition))),
                errtable(partition));
        all_enabled = all_enabled && (!guard.exists || guard.enabled == TRIGGER_FIRES_ON_ORIGIN);
        relation_close(partition, NoLock);
    }
    return all_enabled;
}

char *
lock_schema_of(Oid function)
{
    const Oid schema = get_func_namespace(function);

    LockDatabaseObject(NamespaceRelationId, schema, 0, AccessShareLock);
    char *name = get_namespace_name(schema);
    if (name == nullptr)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_SCHEMA),
                errmsg("schema with OID %u does not exist", schema),
                errdetail("It was dropped meanwhile."));
    return name;
}

void
run_ddl(const char *command)
{
    SPI_connect();
    const int result = SPI_execute(command, false, 0);
    if (result != SPI_OK_UTILITY)
        elog(ERROR, "unexpected result %d of \"%s\"", result, command);
    SPI_finish();
}

List *
inheritance_children(Oid relid, LOCKMODE lockmode)
{
    if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE || !has_subclass(relid))
        return NIL;
    return list_delete_oid(find_all_inheritors(relid, lockmode, nullptr), relid);
}

}  // namespace occ
