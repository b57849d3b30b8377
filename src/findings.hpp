/*
 * What the guard has found wrong with the rows of a running statement, kept
 * until the statement ends, so that one error can name every stale row.
 *
 * Findings belong to a query (known by its es_query_cxt) but are allocated
 * under the transaction: if the query's memory goes away before they were
 * settled (third-party code that never finishes its queries), they are still
 * there at commit, and the commit fails.  If the (sub)transaction rolls back,
 * they go with it.
 */
#ifndef OCC_FINDINGS_HPP
#define OCC_FINDINGS_HPP

#include "pg.hpp"
#include "policy.hpp"
#include "relation.hpp"
#include "row_status.hpp"

namespace occ {

/* How errors name a guarded table: by its root, if it is a partition. */
struct TableName {
    Oid root;
    char *schema;
    char *table;
    NameData version_column; /* empty if no version was compared */
    NameData trigger;        /* empty likewise */
};

/* What of a table's rows in conflict the current user may be shown. */
struct Visible {
    bool keys;     /* list the rows */
    bool versions; /* with their stored version */
};

struct KeyColumn {
    NameData name;
    AttrNumber attnum;
    Oid type;
    int16 length;
    bool by_value;
};

/* Why a command may not have to say what it has read; the query's end tells whether it holds. */
enum class Excuse : std::uint8_t {
    none,
    referential, /* it may be a referential action */
    moving,      /* it may be the half of an UPDATE that moves a row to another partition */
    naming,      /* each of its actions may name the version */
};

/* What a command did without saying which version it had read. */
struct Unproven {
    std::array<bool, 4> found; /* by excuse */
    bool only_warns;           /* the policy only warns */
};

/* What was found in one table (a partition is one of its own). */
struct TableFindings {
    TableFindings *next;
    Oid relid;
    TableName name;
    Enforce enforce;

    int key_count;
    KeyColumn *key;

    Visible visible; /* decided when the statement ends */

    std::uint64_t conflicts;   /* refused row matches */
    std::uint64_t stated_next; /* those of them that stated the next version, under token "read" */
    std::uint64_t stated_seconds; /* ... that may have stated a stamp of whole seconds */

    Unproven unstated_update;
    Unproven undecided_update; /* what states a version, and what does not, can't be told apart */
    Unproven unchecked_delete;
};

/* One row in conflict, with copies of its key and of what was compared. */
struct ConflictRow {
    ConflictRow *next;
    TableFindings *table;
    RowStatus status;
    const char *expected; /* as JSON */
    const char *actual;
    Datum *key;
    bool *key_nulls;
    uint32 key_hash; /* set only for rows without an address */
};

struct Findings {
    Findings *next;
    MemoryContext context; /* everything here lives in it */
    struct QueryLink *query;
    SubTransactionId subtransaction;
    MemoryContextCallback on_reset;

    TableFindings *tables;
    TableFindings *last_used;
    ConflictRow *rows;
    ConflictRow **rows_end;
    std::uint64_t listed;
    HTAB *seen;         /* rows listed already */
    bool wrote_nothing; /* a warning is not to say that stale rows were written */
};

/*
 * A list longer than this ends early, whatever max_reported_rows says, and a row
 * that is longer by itself is not listed: as JSON, a value can be some ten times
 * as long as it is, and an error that does not fit into memory is none of ours.
 */
inline constexpr Size max_listed_bytes = Size{16} * 1024 * 1024;

/* The size of a value without compression, which is not undone for it. */
Size listed_size(Datum value, bool isnull, int16 length);

/* One refused row, as the guard hands it over. */
struct Refusal {
    const TriggerData *trigger;
    const VersionColumn *version;
    const Policy *policy;
    std::string_view key_option;
    Datum expected;
    Datum actual;
    bool expected_null;
    bool actual_null;
    bool stated_next;
    bool stated_seconds;
};

/* How errors name a table, without what was compared; allocated in the current context. */
TableName table_name(Relation relation);

/* How errors name the table that a trigger fired on. */
TableName table_name(const TriggerData *trigger, const VersionColumn &version);

/* Count a stale row, and list it unless it is listed already or the list is full. */
void record_stale(const Refusal &refusal);

/* Note that the command that fired the trigger did not say what it had read. */
void record_unproven(const TriggerData *trigger, const VersionColumn &version, Enforce enforce,
                     bool only_warns, Excuse excuse);

/* The findings of the query with that es_query_cxt, or null. */
Findings *findings_of(MemoryContext query_context);

/* Any unsettled findings of this transaction, or null. */
Findings *any_findings();

/* Forget findings, after their warnings have been given. */
void forget(Findings *findings);

}  // namespace occ

#endif
