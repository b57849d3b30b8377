/* The messages about a refused statement: see conflict.hpp. */
#include "pg.hpp"

#include "conflict.hpp"
#include "exact_json.hpp"
#include "json.hpp"
#include "settings.hpp"
#include "sqlstate.hpp"

namespace occ {

namespace {

void
append_table(StringInfo json, const TableName &name)
{
    appendStringInfoString(json, "\"table\":");
    escape_json(json, quote_qualified_identifier(name.schema, name.table));
}

void
append_key_value(StringInfo json, const ConflictRow &row, int column)
{
    append_json(json, row.key[column], row.table->key[column].type, row.key_nulls[column]);
}

/* An element of "ids": the bare value of a one-column key, an array otherwise. */
void
append_id(StringInfo json, const ConflictRow &row)
{
    const int count = row.table->key_count;

    if (count == 1) {
        append_key_value(json, row, 0);
        return;
    }
    appendStringInfoChar(json, '[');
    for (int i = 0; i < count; i++) {
        if (i > 0)
            appendStringInfoChar(json, ',');
        append_key_value(json, row, i);
    }
    appendStringInfoChar(json, ']');
}

/* What the key's columns need beside them to go in again, as occ.snapshot() has it. */
void
append_marks(StringInfo json, const ConflictRow &row)
{
    const TableFindings &table = *row.table;
    bool is_first = true;

    for (int i = 0; i < table.key_count; i++) {
        const KeyColumn &column = table.key[i];
        if (row.key_nulls[i] || !may_need_marks(column.type))
            continue;
        const JsonbValue mark = write_exactly(make_exact_writer(column.type), row.key[i]).mark;
        if (mark.type == jbvNull)
            continue;
        appendStringInfoString(json, is_first ? ",\"\":{" : ",");
        escape_json(json, NameStr(column.name));
        appendStringInfoChar(json, ':');
        if (mark.type == jbvString)
            escape_json(json, pnstrdup(mark.val.string.val, mark.val.string.len));
        else
            appendStringInfoString(json, "true");
        is_first = false;
    }
    if (!is_first)
        appendStringInfoChar(json, '}');
}

/* An element of "rows".  Rows of a second table say so. */
void
append_row(StringInfo json, const ConflictRow &row, const TableName &first_table)
{
    const TableFindings &table = *row.table;

    appendStringInfoChar(json, '{');
    if (table.name.root != first_table.root) {
        append_table(json, table.name);
        appendStringInfoChar(json, ',');
    }
    appendStringInfoString(json, "\"key\":");
    for (int i = 0; i < table.key_count; i++)
        append_json_member(json, i == 0, NameStr(table.key[i].name), row.key[i], table.key[i].type,
                           row.key_nulls[i]);
    append_marks(json, row);
    appendStringInfoString(json, table.key_count > 0 ? "}" : "null");
    appendStringInfo(json, ",\"status\":\"%s\",\"expected\":%s,\"actual\":%s}",
                     name_of(row.status).data(), row.expected,
                     table.visible.versions ? row.actual : "null");
}

/* The DETAIL: one line of JSON. */
char *
detail_of(const Findings &findings, Enforce enforce, const TableName &first_table,
          std::uint64_t conflicts)
{
    StringInfoData json;
    StringInfoData rows;
    const char *id_separator = "";
    const char *row_separator = "";

    initStringInfo(&json);
    initStringInfo(&rows);
    appendStringInfoChar(&json, '{');
    append_table(&json, first_table);
    appendStringInfo(&json, ",\"conflicts\":" UINT64_FORMAT ",\"ids\":[", conflicts);
    for (const ConflictRow *row = findings.rows; row != nullptr; row = row->next) {
        if (row->table->enforce != enforce || !row->table->visible.keys)
            continue;
        if (row->table->key_count > 0) {
            appendStringInfoString(&json, id_separator);
            append_id(&json, *row);
            id_separator = ",";
        }
        appendStringInfoString(&rows, row_separator);
        append_row(&rows, *row, first_table);
        row_separator = ",";
    }
    appendStringInfo(&json, "],\"rows\":[%s]}", rows.data);
    return json.data;
}

void
set_object_fields(const TableName &name)
{
    err_generic_string(PG_DIAG_SCHEMA_NAME, name.schema);
    err_generic_string(PG_DIAG_TABLE_NAME, name.table);
    if (NameStr(name.version_column)[0] == '\0')
        return;
    err_generic_string(PG_DIAG_COLUMN_NAME, NameStr(name.version_column));
    err_generic_string(PG_DIAG_CONSTRAINT_NAME, NameStr(name.trigger));
}

/*
 * What to do about it.  Where the version that was read must be stated, a
 * stated next version can only be a client's own bump: it needs other rules,
 * not another try.
 */
const char *
hint_of(std::uint64_t conflicts, std::uint64_t stated_next, std::uint64_t stated_seconds,
        bool written)
{
    StringInfoData hint;

    initStringInfo(&hint);
    if (written)
        appendStringInfoString(
            &hint, "Stale rows were written all the same, because of enforce => 'warn'. ");
    if (stated_next < conflicts)
        appendStringInfoString(&hint,
                               "Read the listed rows again and reapply the change to their current "
                               "values; retrying with the same version cannot succeed.");
    if (stated_next > 0)
        appendStringInfo(
            &hint,
            "%sThe client states the next version instead of the one it read: if it is "
            "an ORM that moves the version by itself, guard the table with preset => "
            "'orm'.",
            stated_next < conflicts ? " " : "");
    if (stated_seconds > 0)
        appendStringInfoString(
            &hint, " If the client did not read that time, but stamps whole seconds, let it stamp "
                   "finer ones: a clock of seconds can't tell apart two updates within one.");
    return hint.data;
}

}  // namespace

void
report_conflict(int elevel, const Findings &findings, Enforce enforce)
{
    const TableName *first = nullptr;
    std::uint64_t conflicts = 0;
    std::uint64_t stated_next = 0;
    std::uint64_t stated_seconds = 0;
    List *roots = NIL;
    StringInfoData others;

    for (const TableFindings *table = findings.tables; table != nullptr; table = table->next) {
        if (table->enforce != enforce || table->conflicts == 0)
            continue;
        if (first == nullptr)
            first = &table->name;
        conflicts += table->conflicts;
        stated_next += table->stated_next;
        stated_seconds += table->stated_seconds;
        roots = list_append_unique_oid(roots, table->name.root);
    }
    if (first == nullptr)
        return;

    /* First the DETAIL, since output functions and settings may fail. */
    const char *detail = detail_of(findings, enforce, *first, conflicts);

    initStringInfo(&others);
    if (list_length(roots) == 2)
        appendStringInfoString(&others, " and another table");
    else if (list_length(roots) > 2)
        appendStringInfo(&others, " and %d other tables", list_length(roots) - 1);

    ereport(elevel, errcode(settings::conflict_sqlstate()),
            errmsg("optimistic lock conflict on " UINT64_FORMAT " %s of \"%s\"%s", conflicts,
                   conflicts == 1 ? "row" : "rows", first->table, others.data),
            errdetail_internal("%s", detail),
            errhint("%s", hint_of(conflicts, stated_next, stated_seconds,
                                  elevel < ERROR && !findings.wrote_nothing)),
            (set_object_fields(*first), 0));
}

void
report_unstated_update(int elevel, const TableName &table)
{
    ereport(elevel, errcode(sqlstate::version_required),
            errmsg("UPDATE of \"%s\" does not state a version", table.table),
            errhint("Add \"%s = <the version you read>\" to the SET list.",
                    quote_identifier(NameStr(table.version_column))),
            (set_object_fields(table), 0));
}

void
report_undecided_update(int elevel, const TableName &table)
{
    ereport(elevel, errcode(sqlstate::version_required),
            errmsg("not every UPDATE action of a MERGE into \"%s\" states a version", table.table),
            errdetail("It can't be told which of them has updated a row: the statement was planned "
                      "before occ_lock was loaded, or writes the table in several places."),
            errhint("State \"%s\" in each of them, or preload occ_lock.",
                    quote_identifier(NameStr(table.version_column))),
            (set_object_fields(table), 0));
}

void
report_unchecked_delete(int elevel, const TableName &table)
{
    ereport(elevel, errcode(sqlstate::version_required),
            errmsg("DELETE from \"%s\" was not checked", table.table), errhint("Use occ.delete()."),
            (set_object_fields(table), 0));
}

void
raise_null_version(const TriggerData *trigger, const VersionColumn &version)
{
    Relation relation = trigger->tg_relation;
    Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), version.attnum - 1);

    ereport(ERROR, errcode(ERRCODE_NOT_NULL_VIOLATION),
            errmsg("null value in column \"%s\" of relation \"%s\" violates not-null constraint",
                   NameStr(attribute->attname), RelationGetRelationName(relation)),
            errhint("State the version that you read."), errtablecol(relation, version.attnum));
    pg_unreachable();
}

/*
 * Under InNoForceRLSOperation() we may be in a referential action, which can
 * not state a version; but a user's trigger that a cascade fired sees the flag
 * as well.  The query's end tells them apart.
 */
void
note_unproven_update(const TriggerData *trigger, const VersionColumn &version, const Policy &policy)
{
    const bool only_warns = policy.unstated == Unstated::warn;
    const bool maybe_referential = InNoForceRLSOperation();

    if (!only_warns && !maybe_referential && policy.enforce == Enforce::error)
        report_unstated_update(ERROR, table_name(trigger, version));
    record_unproven(trigger, version, policy.enforce, only_warns,
                    maybe_referential ? Excuse::referential : Excuse::none);
}

}  // namespace occ
