/* Guard one table: see install_guard.hpp. */
#include "pg.hpp"

#include "install_guard.hpp"
#include "installed_guard.hpp"
#include "relation.hpp"

namespace occ {

namespace {

/*
 * Add the version column.  Costs no rewrite: a constant default is stored once.
 * In a foreign table, or a parent of one, it would name a column that the
 * other server does not have.
 */
void
add_version_column(Oid relid, const char *column)
{
    ListCell *cell;
    foreach (cell, find_all_inheritors(relid, AccessExclusiveLock, nullptr)) {
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE)
            ereport(ERROR, errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" of foreign table \"%s\" does not exist", column,
                           get_rel_name(lfirst_oid(cell))),
                    errhint("Add it on the foreign server first, then here."));
    }
    run_ddl(psprintf("ALTER TABLE %s ADD COLUMN %s pg_catalog.int8 NOT NULL DEFAULT 1",
                     qualified_name(relid), quote_identifier(column)));
    ereport(NOTICE, errmsg("added column \"%s\" (bigint NOT NULL DEFAULT 1) to table \"%s\"",
                           column, get_rel_name(relid)));
}

/*
 * The table must have a key, or conflicts could not name their rows; one that
 * may come later is looked for when there is a conflict.  Columns
 * that the user names must be unique, except where no index could say so: in
 * partitioned and foreign tables, and in inheritance children.  Returns it.
 */
Key
check_key(Relation relation, const Options &options, const VersionColumn &version, KeyRule rule,
          bool is_child)
{
    const bool can_be_unique = relation->rd_rel->relkind == RELKIND_RELATION && !is_child;
    const Key key = find_key(RelationGetRelid(relation), options.key);
    Bitmapset *columns = nullptr;

    if (bms_num_members(find_columns(relation, options.key, "key")) > INDEX_MAX_KEYS)
        ereport(ERROR, errcode(ERRCODE_TOO_MANY_COLUMNS),
                errmsg("a key cannot have more than %d columns", INDEX_MAX_KEYS),
                errhint("Name the fewest columns that tell rows apart."), errtable(relation));
    if (key.count == 0 && rule == KeyRule::required)
        ereport(ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                errmsg("table \"%s\" has no key", RelationGetRelationName(relation)),
                errdetail("A conflict names the stale rows by their key."),
                errhint("Add a primary key, or name unique columns: key => '{...}'."),
                errtable(relation));
    for (int i = 0; i < key.count; i++) {
        if (key.attnums[i] == version.attnum)
            ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("the version column cannot be part of the key"),
                    errhint("Name the columns that tell rows apart: key => '{...}'."),
                    errtablecol(relation, version.attnum));
        if (bms_is_member(key.attnums[i], columns))
            ereport(ERROR, errcode(ERRCODE_DUPLICATE_COLUMN),
                    errmsg("a column is named twice in the key"), errhint("Name each column once."),
                    errtablecol(relation, key.attnums[i]));
        columns = bms_add_member(columns, key.attnums[i]);
    }
    if (!options.key.empty() && can_be_unique &&
        !OidIsValid(find_unique_index(RelationGetRelid(relation), key)))
        ereport(
            ERROR, errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
            errmsg("key columns of table \"%s\" are not unique", RelationGetRelationName(relation)),
            errhint("Add a unique constraint on them."), errtable(relation));
    return key;
}

void
check_ignore(Relation relation, const Options &options, const VersionColumn &version)
{
    if (bms_is_member(version.attnum, find_columns(relation, options.ignore, "ignore")))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("the version column cannot be ignored"),
                errhint("Ignore columns whose change alone needs no version."),
                errtablecol(relation, version.attnum));
}

/* What is allowed, but likely not meant. */
void
give_warnings(Relation relation, const Options &options, const VersionColumn &version)
{
    List *earlier = NIL;
    ListCell *cell;
    const bool whole_seconds = options.policy.time_precision == TimePrecision::s ||
                               (version.kind != VersionKind::double_precision &&
                                is_time(version.kind) && version.typmod == 0);

    /* First the names: reporting may look into the catalogues, and rebuild trigdesc by that. */
    for (int i = 0; relation->trigdesc != nullptr && i < relation->trigdesc->numtriggers; i++) {
        const Trigger &trigger = relation->trigdesc->triggers[i];
        if (is_before_update_row(trigger) && strcmp(trigger.tgname, guard_name) < 0)
            earlier = lappend(earlier, pstrdup(trigger.tgname));
    }

    if (whole_seconds)
        ereport(WARNING,
                errmsg("the version of table \"%s\" has a precision of seconds",
                       RelationGetRelationName(relation)),
                errdetail("A client can't tell apart two updates within a second."),
                errhint("Use timestamptz(3) or finer, or an integer."),
                errtablecol(relation, version.attnum));
    if (version.kind == VersionKind::timestamp)
        ereport(WARNING,
                errmsg("the version of table \"%s\" has no time zone",
                       RelationGetRelationName(relation)),
                errdetail("The guard stores the time of the session's TimeZone. A client that "
                          "stamps UTC is refused after that for hours, if the zone is east of it."),
                errhint("Use timestamptz, or let all sessions have TimeZone UTC."),
                errtablecol(relation, version.attnum));
    foreach (cell, earlier)
        ereport(
            WARNING,
            errmsg("trigger \"%s\" fires before the guard of table \"%s\"",
                   static_cast<char *>(lfirst(cell)), RelationGetRelationName(relation)),
            errdetail("A version that it changes counts as stated by the client."),
            errhint("Rename it to sort after \"%s\", unless that is what you want.", guard_name),
            errtable(relation));
}

/* Append "name old to new" if the two differ. */
void
describe_change(StringInfo text, const char *name, std::string_view before, std::string_view after)
{
    if (before == after)
        return;
    appendStringInfo(text, "%s%s %.*s to %.*s", text->len > 0 ? ", " : "", name,
                     before.empty() ? 4 : static_cast<int>(before.size()),
                     before.empty() ? "none" : before.data(),
                     after.empty() ? 4 : static_cast<int>(after.size()),
                     after.empty() ? "none" : after.data());
}

/* What differs between two guards, for the user; empty if nothing does. */
char *
changes_between(const InstalledGuard &installed, bool all_enabled, const Options &before,
                const Options &after)
{
    StringInfoData text;

    initStringInfo(&text);
    if (before.problem != OptionProblem::none)
        appendStringInfoString(&text, "invalid options replaced");
    describe_change(&text, "version_column", before.version_column, after.version_column);
    describe_change(&text, "token", name_of(before.policy.token), name_of(after.policy.token));
    describe_change(&text, "echo", name_of(before.policy.echo), name_of(after.policy.echo));
    describe_change(&text, "unstated", name_of(before.policy.unstated),
                    name_of(after.policy.unstated));
    describe_change(&text, "deletes", name_of(before.policy.deletes),
                    name_of(after.policy.deletes));
    describe_change(&text, "enforce", name_of(before.policy.enforce),
                    name_of(after.policy.enforce));
    describe_change(&text, "time_precision", name_of(before.policy.time_precision),
                    name_of(after.policy.time_precision));
    describe_change(&text, "ignore", before.ignore, after.ignore);
    describe_change(&text, "key", before.key, after.key);
    if (!installed.is_plain)
        appendStringInfo(&text, "%sfires on every update%s", text.len > 0 ? ", " : "",
                         after.policy.deletes == Deletes::checked ? " and delete" : "");
    if (installed.enabled != TRIGGER_FIRES_ON_ORIGIN || !all_enabled)
        appendStringInfo(&text, "%senabled again", text.len > 0 ? ", " : "");
    return text.data;
}

void
create_trigger(Oid relid, Oid guard, Deletes deletes, const Arguments &arguments)
{
    StringInfoData command;

    initStringInfo(&command);
    appendStringInfo(&command,
                     "CREATE OR REPLACE TRIGGER %s BEFORE UPDATE%s ON %s FOR EACH ROW "
                     "EXECUTE FUNCTION %s(",
                     guard_name, deletes == Deletes::checked ? " OR DELETE" : "",
                     qualified_name(relid),
                     quote_qualified_identifier(lock_schema_of(guard), get_func_name(guard)));
    for (std::size_t i = 0; i < arguments.count; i++)
        appendStringInfo(&command, "%s%s", i > 0 ? ", " : "",
                         quote_literal_cstr(arguments.items[i].data()));
    appendStringInfoChar(&command, ')');
    run_ddl(command.data);
}

/*
 * Open and lock a table to guard it.  Adding a column takes a stronger lock,
 * and while we wait for one, another session may add or drop the column.
 */
Relation
open_for_guard(Oid relid, const char *column, bool *add_column)
{
    for (LOCKMODE lockmode = ShareRowExclusiveLock;; lockmode = AccessExclusiveLock) {
        Relation relation = open_table(relid, lockmode);
        *add_column = find_column(RelationGetDescr(relation), column) == InvalidAttrNumber &&
                      SystemAttributeByName(column) == nullptr;
        if (!*add_column || lockmode == AccessExclusiveLock)
            return relation;
        relation_close(relation, lockmode);
    }
}

/* The guarded table that another one inherits from. */
struct Parent {
    Oid relid;
    const char *key; /* its key as an argument: inheritance passes on no index; or null */
    ColumnOrigin column;
};

/*
 * Whose is a version column that is there already?  What was noted when it was
 * added holds for as long as the guard goes by that column.  A child has it of
 * its parent, unless it had one before.
 */
ColumnOrigin
origin_of(Relation relation, const VersionColumn &version, const Options &options,
          const Options &before, const Parent *parent)
{
    if (before.problem == OptionProblem::none && before.version_column == options.version_column &&
        before.column == ColumnOrigin::added)
        return ColumnOrigin::added;
    if (parent == nullptr ||
        TupleDescAttr(RelationGetDescr(relation), version.attnum - 1)->attislocal)
        return ColumnOrigin::own;
    return parent->column;
}

/* Guard one table, which may inherit from another.  Returns what its children have to know. */
Parent
guard_table(Oid relid, Oid guard, Arguments arguments, KeyRule rule, const Parent *parent)
{
    check_may_guard(relid);

    const char *column = arguments.items[0].data();
    bool add_column;
    Relation relation = open_for_guard(relid, column, &add_column);
    const InstalledGuard installed = installed_guard(relation, guard);

    check_installed(relation, installed);
    const bool all_enabled =
        relation->rd_rel->relkind != RELKIND_PARTITIONED_TABLE || check_partitions(relid, guard);
    if (parent != nullptr && parent->key != nullptr &&
        parse_options(arguments.span()).key.empty() && find_key(relid, {}).count == 0)
        arguments.add(parent->key);

    const Options options = parse_options(arguments.span());
    const VersionColumn version =
        add_column ? added_version_column : find_version_column(relation, column);
    check_policy(relation, version, options.policy);
    const Key key = check_key(relation, options, version, rule, parent != nullptr);
    check_ignore(relation, options, version);
    give_warnings(relation, options, version);
    const Options before = parse_options(installed.arguments.span());
    const ColumnOrigin origin =
        add_column ? ColumnOrigin::added : origin_of(relation, version, options, before, parent);
    relation_close(relation, NoLock); /* DDL refuses a table that is open */

    if (add_column)
        add_version_column(relid, column);
    if (origin == ColumnOrigin::added)
        arguments.add("column=added");

    const char *changes =
        installed.exists ? changes_between(installed, all_enabled, before, options) : "";
    const bool is_noted = origin == before.column;
    if (!installed.exists || *changes != '\0' || !is_noted)
        create_trigger(relid, guard, options.policy.deletes, arguments);
    if (*changes != '\0')
        ereport(NOTICE, errmsg("guard of table \"%s\" changes: %s", get_rel_name(relid), changes));
    else if (installed.exists && parent == nullptr && !add_column)
        ereport(NOTICE, errmsg("table \"%s\" is guarded already, and nothing changes",
                               get_rel_name(relid)));
    else if (!installed.exists && parent != nullptr)
        ereport(NOTICE, errmsg("table \"%s\" inherits from \"%s\" and is guarded as well",
                               get_rel_name(relid), get_rel_name(parent->relid)));
    return {relid, key.count > 0 ? names_argument("key", key_names(relid, key)) : nullptr, origin};
}

}  // namespace

void
install_guard(Oid relid, Oid guard, const Arguments &arguments, KeyRule rule)
{
    const Parent self = guard_table(relid, guard, arguments, rule, nullptr);

    ListCell *cell;
    foreach (cell, inheritance_children(relid, ShareRowExclusiveLock))
        guard_table(lfirst_oid(cell), guard, arguments, rule, &self);
}

}  // namespace occ
