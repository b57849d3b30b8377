/* What the guard has found in a running statement: see findings.hpp. */
#include "pg.hpp"

#include "findings.hpp"
#include "json.hpp"
#include "settings.hpp"

namespace occ {

/*
 * Lives in the query's memory and tells the findings when that goes away: the
 * address of a freed context may soon be that of another query's.  Whichever
 * of the two dies first cuts the link.
 */
struct QueryLink {
    MemoryContextCallback on_reset;
    MemoryContext context;
    Findings *findings;
};

namespace {

/* The findings of all running queries of this backend, innermost first. */
Findings *all_findings = nullptr;

/* Identifies a row within a statement. */
struct RowAddress {
    Oid relid;
    ItemPointerData tid;
};

extern "C" void
occ_query_is_gone(void *argument)
{
    auto *link = static_cast<QueryLink *>(argument);

    if (link->findings != nullptr)
        link->findings->query = nullptr;
}

extern "C" void
occ_findings_are_gone(void *argument)
{
    auto *findings = static_cast<Findings *>(argument);

    if (findings->query != nullptr)
        findings->query->findings = nullptr;
    for (Findings **link = &all_findings; *link != nullptr; link = &(*link)->next) {
        if (*link == findings) {
            *link = findings->next;
            break;
        }
    }
}

/*
 * The findings that a trigger call adds to.  The slot of its OLD row is made
 * in es_query_cxt, which is how a trigger can know its query.
 */
Findings *
findings_for(const TriggerData *trigger)
{
    MemoryContext query_context = trigger->tg_trigslot->tts_mcxt;
    const SubTransactionId subtransaction = GetCurrentSubTransactionId();

    for (Findings *findings = all_findings; findings != nullptr; findings = findings->next) {
        if (findings->query != nullptr && findings->query->context == query_context &&
            findings->subtransaction == subtransaction)
            return findings;
    }

    MemoryContext context =
        AllocSetContextCreate(CurTransactionContext, "occ_lock findings", ALLOCSET_DEFAULT_SIZES);
    auto *findings = static_cast<Findings *>(MemoryContextAllocZero(context, sizeof(Findings)));
    auto *link = static_cast<QueryLink *>(MemoryContextAllocZero(query_context, sizeof(QueryLink)));

    findings->context = context;
    findings->subtransaction = subtransaction;
    findings->rows_end = &findings->rows;
    findings->query = link;
    link->context = query_context;
    link->findings = findings;

    /* Nothing from here on can raise an error. */
    link->on_reset.func = occ_query_is_gone;
    link->on_reset.arg = link;
    MemoryContextRegisterResetCallback(query_context, &link->on_reset);
    findings->on_reset.func = occ_findings_are_gone;
    findings->on_reset.arg = findings;
    MemoryContextRegisterResetCallback(context, &findings->on_reset);
    findings->next = all_findings;
    all_findings = findings;
    return findings;
}

/* The entry for the table that the trigger fired on, without its key. */
TableFindings *
table_for(Findings *findings, const TriggerData *trigger, const VersionColumn &version,
          Enforce enforce)
{
    const Oid relid = RelationGetRelid(trigger->tg_relation);

    if (findings->last_used != nullptr && findings->last_used->relid == relid)
        return findings->last_used;

    TableFindings **end = &findings->tables;
    for (; *end != nullptr; end = &(*end)->next) {
        if ((*end)->relid == relid)
            return findings->last_used = *end;
    }

    MemoryContext old = MemoryContextSwitchTo(findings->context);
    auto *table = static_cast<TableFindings *>(palloc0(sizeof(TableFindings)));
    table->relid = relid;
    table->name = table_name(trigger, version);
    table->enforce = enforce;
    table->key_count = -1;
    MemoryContextSwitchTo(old);
    return findings->last_used = *end = table;
}

void
resolve_key(Findings *findings, TableFindings *table, const Refusal &refusal)
{
    Relation relation = refusal.trigger->tg_relation;
    const Key key = find_key(RelationGetRelid(relation), refusal.key_option);

    table->key = static_cast<KeyColumn *>(
        MemoryContextAllocZero(findings->context, sizeof(KeyColumn) * (key.count + 1)));
    for (int i = 0; i < key.count; i++) {
        Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), key.attnums[i] - 1);
        table->key[i] = {attribute->attname, key.attnums[i], attribute->atttypid, attribute->attlen,
                         attribute->attbyval};
    }
    table->key_count = key.count;
}

/* Is the row at that address listed already?  If not, it will be. */
bool
is_address_listed(Findings *findings, Oid relid, const ItemPointerData &tid)
{
    RowAddress address;
    bool found;

    memset(&address, 0, sizeof(address));
    address.relid = relid;
    address.tid = tid;
    if (findings->seen == nullptr) {
        HASHCTL control = {};
        control.keysize = sizeof(RowAddress);
        control.entrysize = sizeof(RowAddress);
        control.hcxt = findings->context;
        findings->seen = hash_create("occ_lock rows in conflict", 64, &control,
                                     HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    hash_search(findings->seen, &address, HASH_ENTER, &found);
    return found;
}

/* Is a row with the same key listed already?  A foreign table's row has no address that we know. */
bool
is_key_listed(Findings *findings, ConflictRow *row)
{
    const TableFindings &table = *row->table;

    for (int i = 0; i < table.key_count; i++) {
        if (!row->key_nulls[i])
            row->key_hash =
                pg_rotate_right32(row->key_hash, 31) ^
                datum_image_hash(row->key[i], table.key[i].by_value, table.key[i].length);
    }
    /* Rows of the same hash are compared; mostly there is none. */
    ItemPointerData tid;
    ItemPointerSet(&tid, row->key_hash, FirstOffsetNumber);
    if (table.key_count == 0 || !is_address_listed(findings, table.relid, tid))
        return false;
    for (const ConflictRow *other = findings->rows; other != nullptr; other = other->next) {
        bool same = other->table == row->table && other->key_hash == row->key_hash;
        for (int i = 0; same && i < table.key_count; i++)
            same =
                other->key_nulls[i] == row->key_nulls[i] &&
                (row->key_nulls[i] || datum_image_eq(other->key[i], row->key[i],
                                                     table.key[i].by_value, table.key[i].length));
        if (same)
            return true;
    }
    return false;
}

/* Copy a value of one of the table's columns into the current context. */
Datum
copy_of(Datum value, bool isnull, int16 length, bool by_value)
{
    if (isnull)
        return value;
    if (length == -1)
        return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
    return datumCopy(value, by_value, length);
}

/* The value of a key column in the row that was refused. */
Datum
key_value(const Refusal &refusal, const KeyColumn &column, bool *isnull)
{
    return heap_getattr(refusal.trigger->tg_trigtuple, column.attnum,
                        RelationGetDescr(refusal.trigger->tg_relation), isnull);
}

Size
key_size(const TableFindings &table, const Refusal &refusal)
{
    Size size = 0;

    for (int i = 0; i < table.key_count; i++) {
        bool isnull;
        const Datum value = key_value(refusal, table.key[i], &isnull);
        size += listed_size(value, isnull, table.key[i].length);
    }
    return size;
}

/* A stale row with copies of its key and versions, in the findings' context. */
ConflictRow *
copy_row(Findings *findings, TableFindings *table, const Refusal &refusal)
{
    MemoryContext old = MemoryContextSwitchTo(findings->context);
    auto *row = static_cast<ConflictRow *>(palloc0(sizeof(ConflictRow)));

    row->table = table;
    row->status = RowStatus::stale;
    row->expected = json_of(refusal.expected, refusal.version->type, refusal.expected_null);
    row->actual = json_of(refusal.actual, refusal.version->type, refusal.actual_null);
    row->key = static_cast<Datum *>(palloc0(sizeof(Datum) * (table->key_count + 1)));
    row->key_nulls = static_cast<bool *>(palloc0(sizeof(bool) * (table->key_count + 1)));
    for (int i = 0; i < table->key_count; i++) {
        const Datum value = key_value(refusal, table->key[i], &row->key_nulls[i]);
        row->key[i] =
            copy_of(value, row->key_nulls[i], table->key[i].length, table->key[i].by_value);
    }
    MemoryContextSwitchTo(old);
    return row;
}

}  // namespace

Size
listed_size(Datum value, bool isnull, int16 length)
{
    if (isnull)
        return 0;
    if (length == -1)
        return toast_raw_datum_size(value);
    return length > 0 ? static_cast<Size>(length) : strlen(DatumGetCString(value));
}

TableName
table_name(Relation relation)
{
    TableName name = {};

    name.root = root_of(relation);
    name.schema = get_namespace_name_or_temp(get_rel_namespace(name.root));
    name.table = get_rel_name(name.root);
    return name;
}

TableName
table_name(const TriggerData *trigger, const VersionColumn &version)
{
    TableName name = table_name(trigger->tg_relation);

    name.version_column =
        TupleDescAttr(RelationGetDescr(trigger->tg_relation), version.attnum - 1)->attname;
    namestrcpy(&name.trigger, trigger->tg_trigger->tgname);
    return name;
}

void
record_stale(const Refusal &refusal)
{
    Findings *findings = findings_for(refusal.trigger);
    TableFindings *table =
        table_for(findings, refusal.trigger, *refusal.version, refusal.policy->enforce);
    const ItemPointerData &tid = refusal.trigger->tg_trigtuple->t_self;
    const bool has_address = ItemPointerIsValid(&tid);

    /* Neither values nor the row's place: the user may not be allowed to know them. */
    ereport(DEBUG1,
            errmsg_internal("occ_lock: a row of \"%s\" is stale: token \"%s\" does not let the "
                            "stated version pass over the stored one",
                            RelationGetRelationName(refusal.trigger->tg_relation),
                            name_of(refusal.policy->token).data()));
    table->conflicts++;
    table->stated_next += refusal.stated_next;
    table->stated_seconds += refusal.stated_seconds;

    /* A row that several source rows match is refused several times, and listed once. */
    if (findings->listed >= static_cast<std::uint64_t>(settings::max_reported_rows) ||
        MemoryContextMemAllocated(findings->context, true) > max_listed_bytes ||
        (has_address && is_address_listed(findings, table->relid, tid)))
        return;
    if (table->key_count < 0)
        resolve_key(findings, table, refusal);
    if (key_size(*table, refusal) > max_listed_bytes)
        return;

    ConflictRow *row = copy_row(findings, table, refusal);
    if (!has_address && is_key_listed(findings, row))
        return;
    *findings->rows_end = row;
    findings->rows_end = &row->next;
    findings->listed++;
}

void
record_unproven(const TriggerData *trigger, const VersionColumn &version, Enforce enforce,
                bool only_warns, Excuse excuse)
{
    TableFindings *table = table_for(findings_for(trigger), trigger, version, enforce);
    Unproven &unproven = TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? table->unchecked_delete
                         : excuse == Excuse::naming                 ? table->undecided_update
                                                                    : table->unstated_update;

    unproven.found[static_cast<std::size_t>(excuse)] = true;
    unproven.only_warns = only_warns;
}

Findings *
findings_of(MemoryContext query_context)
{
    for (Findings *findings = all_findings; findings != nullptr; findings = findings->next) {
        if (findings->query != nullptr && findings->query->context == query_context)
            return findings;
    }
    return nullptr;
}

Findings *
any_findings()
{
    return all_findings;
}

void
forget(Findings *findings)
{
    MemoryContextDelete(findings->context);
}

}  // namespace occ
