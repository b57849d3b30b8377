/* The event trigger function that occ.auto_enable() makes: it guards tables as they are made. */
#include "pg.hpp"

#include "arguments.hpp"
#include "install_guard.hpp"
#include "installed_guard.hpp"
#include "relation.hpp"
#include "settings.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_guard_new_tables);
}

namespace occ {

namespace {

/* The options that occ.auto_enable() has given the function as a setting. */
Arguments
configured_arguments()
{
    Arguments arguments;
    Datum *items;
    bool *nulls;
    int count;

    if (settings::auto_enable == nullptr || settings::auto_enable[0] == '\0')
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("event trigger function does not set \"occ_lock.auto_enable\""),
                errhint("Let occ.auto_enable() make it."));
    ArrayType *array =
        DatumGetArrayTypeP(OidInputFunctionCall(F_ARRAY_IN, settings::auto_enable, TEXTOID, -1));
    deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &items, &nulls, &count);
    for (int i = 0; i < count; i++)
        arguments.add(nulls[i] ? "" : TextDatumGetCString(items[i]));
    check_options(parse_options(arguments.span()), nullptr, nullptr);
    return arguments;
}

/* Has somebody chosen other options?  Who has made the column is none. */
bool
same_options(const Options &a, const Options &b)
{
    return a.problem == OptionProblem::none && a.version_column == b.version_column &&
           a.policy == b.policy && a.deletes_given == b.deletes_given && a.ignore == b.ignore &&
           a.key == b.key;
}

/* The guard of a table, which is locked for it. */
InstalledGuard
guard_of(Oid relid, Oid guard, LOCKMODE lockmode)
{
    Relation relation = open_table(relid, lockmode);
    const InstalledGuard installed = installed_guard(relation, guard);

    relation_close(relation, NoLock);
    return installed;
}

/*
 * Does a table have a guard that fits?  Looks at each trigger, since two
 * guards are an error where one is asked for, and must not fail anybody's DDL.
 * The caller holds a lock.
 */
template <class Fits>
bool
has_guard(Oid relid, Oid guard, const Fits &fits)
{
    Relation relation = open_table(relid, NoLock);
    const TriggerDesc *triggers = relation->trigdesc;
    bool has = false;

    for (int i = 0; !has && triggers != nullptr && i < triggers->numtriggers; i++)
        has = triggers->triggers[i].tgfoid == guard && fits(triggers->triggers[i]);
    relation_close(relation, NoLock);
    return has;
}

bool
has_any_guard(Oid relid, Oid guard)
{
    return has_guard(relid, guard, [](const Trigger & /*trigger*/) { return true; });
}

/*
 * Is a new table one to guard?  Partitions are their partitioned table's
 * business, and no other session sees a temporary table.  An extension's
 * tables are its own business, and what is in a schema that it has made is a
 * tool's working copy: it gets rows as they are, versions included.
 */
bool
is_candidate(Oid relid, const char *column)
{
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));

    if (!HeapTupleIsValid(tuple))
        return false;
    const auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
    const bool is_kind =
        (form->relkind == RELKIND_RELATION || form->relkind == RELKIND_PARTITIONED_TABLE) &&
        !form->relispartition && form->relpersistence != RELPERSISTENCE_TEMP;
    const Oid schema = form->relnamespace;
    ReleaseSysCache(tuple);
    return is_kind && get_attnum(relid, column) > 0 &&
           !OidIsValid(getExtensionOfObject(RelationRelationId, relid)) &&
           !OidIsValid(getExtensionOfObject(NamespaceRelationId, schema));
}

/*
 * Guard a table that has no guard yet, if its column can be a version and the
 * user may; not every column of that name is meant as one, a table that
 * somebody makes or detaches need not be his, and no migration shall fail
 * because of it.
 */
pg_noinline void
guard_if_possible(Oid relid, Oid guard, const Arguments &arguments)
{
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData *volatile error = nullptr;

    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        if (!guard_of(relid, guard, ShareRowExclusiveLock).exists)
            install_guard(relid, guard, arguments, KeyRule::may_come_later);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;

    if (error == nullptr)
        return;
    switch (error->sqlerrcode) {
    case ERRCODE_DATATYPE_MISMATCH:
    case ERRCODE_DUPLICATE_OBJECT:
    case ERRCODE_INSUFFICIENT_PRIVILEGE:
    case ERRCODE_INVALID_OBJECT_DEFINITION:
    case ERRCODE_INVALID_PARAMETER_VALUE:
    case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
        ereport(NOTICE,
                errmsg("table \"%s\" is not guarded: %s", get_rel_name(relid), error->message),
                errhint("occ.unguarded lists such tables."));
        break;
    default:
        ReThrowError(error);
    }
}

/* Has an ALTER TABLE given its table that column?  IF NOT EXISTS may have found it there. */
bool
has_added_column(const CollectedCommand *command, const char *column)
{
    const ListCell *cell;

    if (command->type != SCT_AlterTable)
        return false;
    foreach (cell, command->d.alterTable.subcmds) {
        const auto *part = static_cast<const CollectedATSubcmd *>(lfirst(cell));
        if (!pg::is_add_column(reinterpret_cast<const AlterTableCmd *>(part->parsetree)) ||
            !OidIsValid(part->address.objectId))
            continue;
        const char *added = get_attname(part->address.objectId,
                                        static_cast<AttrNumber>(part->address.objectSubId), true);
        if (added != nullptr && strcmp(added, column) == 0)
            return true;
    }
    return false;
}

/*
 * The tables that the command which has just ended has made, or given that
 * column, in order.  An extension's own tables are its business.
 */
List *
new_tables(const char *column)
{
    static constexpr const char *query =
        "SELECT objid, command, command_tag OPERATOR(pg_catalog.=) 'ALTER TABLE' "
        "FROM pg_catalog.pg_event_trigger_ddl_commands() "
        "WHERE classid OPERATOR(pg_catalog.=) "
        "'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid "
        "AND command_tag OPERATOR(pg_catalog.=) "
        "ANY ('{CREATE TABLE,CREATE TABLE AS,SELECT INTO,ALTER TABLE}'::pg_catalog.text[]) "
        "AND NOT in_extension";
    MemoryContext context = CurrentMemoryContext;
    List *tables = NIL;

    SPI_connect();
    if (SPI_execute(query, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not read the commands of an event trigger");
    for (uint64 i = 0; i < SPI_processed; i++) {
        const HeapTuple tuple = SPI_tuptable->vals[i];
        const auto value = [&](int number) {
            bool isnull;
            return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, &isnull);
        };
        /* A pg_ddl_command is the address of what the event trigger manager has collected. */
        if (DatumGetBool(value(3)) &&
            !has_added_column(reinterpret_cast<const CollectedCommand *>(DatumGetPointer(value(2))),
                              column))
            continue;
        MemoryContext old = MemoryContextSwitchTo(context);
        tables = list_append_unique_oid(tables, DatumGetObjectId(value(1)));
        MemoryContextSwitchTo(old);
    }
    SPI_finish();
    return tables;
}

/* Call action with the commands of one kind in an ALTER TABLE; other statements have none. */
template <class Action>
void
for_each_part(const Node *statement, AlterTableType kind, const Action &action)
{
    const ListCell *cell;

    if (statement == nullptr || !IsA(statement, AlterTableStmt))
        return;
    foreach (cell, reinterpret_cast<const AlterTableStmt *>(statement)->cmds) {
        const auto *part = static_cast<const AlterTableCmd *>(lfirst(cell));
        if (part->subtype == kind)
            action(part);
    }
}

/* Is the partitioned table guarded that an ALTER TABLE has detached a partition from? */
bool
was_guarded_partition(const AlterTableStmt *statement, Oid guard)
{
    const Oid parent = RangeVarGetRelid(statement->relation, AccessShareLock, true);

    return OidIsValid(parent) && has_any_guard(parent, guard);
}

/*
 * A table was made, has got the column, or has lost its share of a partitioned
 * table's guard.  A table that was there and had no guard has none afterwards:
 * somebody may have taken it off.
 */
void
after_command(const Node *statement, const Arguments &arguments, Oid guard)
{
    const char *column = arguments.items[0].data();
    List *tables = new_tables(column);
    ListCell *cell;

    for (const AlterTableType kind : {AT_DetachPartition, AT_DetachPartitionFinalize}) {
        for_each_part(statement, kind, [&](const AlterTableCmd *part) {
            const auto *detach = reinterpret_cast<const PartitionCmd *>(part->def);
            if (was_guarded_partition(reinterpret_cast<const AlterTableStmt *>(statement), guard))
                tables =
                    list_append_unique_oid(tables, RangeVarGetRelid(detach->name, NoLock, true));
        });
    }
    foreach (cell, tables) {
        if (is_candidate(lfirst_oid(cell), column))
            guard_if_possible(lfirst_oid(cell), guard, arguments);
    }
}

/*
 * ATTACH PARTITION gives a partition its share of the partitioned table's
 * guard, and fails if there is one: so ours makes way.  Another one, with
 * options that somebody has chosen, stays for its owner to decide about.
 */
void
make_way_for_attach(const AlterTableStmt *statement, const PartitionCmd *attach,
                    const Arguments &arguments, Oid guard)
{
    /* Locks, and the order in which they are taken, are those of ATTACH PARTITION. */
    const Oid parent =
        RangeVarGetRelidExtended(statement->relation, ShareUpdateExclusiveLock, RVR_MISSING_OK,
                                 RangeVarCallbackOwnsRelation, nullptr);
    if (!OidIsValid(parent) || get_rel_relkind(parent) != RELKIND_PARTITIONED_TABLE ||
        !has_any_guard(parent, guard))
        return;
    const Oid partition = RangeVarGetRelidExtended(
        attach->name, AccessExclusiveLock, RVR_MISSING_OK, RangeVarCallbackOwnsRelation, nullptr);
    if (!OidIsValid(partition) || !is_table(get_rel_relkind(partition)))
        return;

    if (has_guard(partition, guard, [&](const Trigger &trigger) {
            return !trigger.tgisclone && strcmp(trigger.tgname, guard_name) == 0 &&
                   same_options(parse_options(arguments_of(trigger).span()),
                                parse_options(arguments.span()));
        }))
        run_ddl(psprintf("DROP TRIGGER %s ON %s", guard_name, qualified_name(partition)));
}

}  // namespace

}  // namespace occ

/*
 * An event trigger function, for ddl_command_end and ddl_command_start; see
 * occ.auto_enable().  It acts as the user whose command fires it.
 */
Datum
occ_guard_new_tables(PG_FUNCTION_ARGS)
{
    using namespace occ;

    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("function was not called by the event trigger manager"),
                errhint("Let occ.auto_enable() make the event trigger."));
    if (creating_extension)
        PG_RETURN_NULL();

    const auto *trigger = reinterpret_cast<const EventTriggerData *>(fcinfo->context);
    const Arguments arguments = configured_arguments();
    const Oid guard = guard_function(fcinfo->flinfo->fn_oid);

    if (strcmp(trigger->event, "ddl_command_end") == 0)
        after_command(trigger->parsetree, arguments, guard);
    else
        for_each_part(trigger->parsetree, AT_AttachPartition, [&](const AlterTableCmd *part) {
            make_way_for_attach(reinterpret_cast<const AlterTableStmt *>(trigger->parsetree),
                                reinterpret_cast<const PartitionCmd *>(part->def), arguments,
                                guard);
        });
    PG_RETURN_NULL();
}
