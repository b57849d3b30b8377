/*
 * What the guard needs to know of a table: its version column, its key, its
 * name.  Nothing is cached here: everything is looked up in the relation
 * descriptor at hand or in the catalogues, so ALTER TABLE can leave nothing
 * stale behind.
 */
#ifndef OCC_RELATION_HPP
#define OCC_RELATION_HPP

#include "options.hpp"
#include "pg.hpp"

namespace occ {

/* The types that can hold a version. */
enum class VersionKind : std::uint8_t {
    smallint,
    integer,
    bigint,
    timestamp,
    timestamptz,
    double_precision,
    uuid,
};

struct VersionColumn {
    AttrNumber attnum;
    Oid type;
    int32 typmod;
    bool not_null;
    VersionKind kind;
};

constexpr bool
is_time(VersionKind kind)
{
    return kind == VersionKind::timestamp || kind == VersionKind::timestamptz ||
           kind == VersionKind::double_precision;
}

/* The column that occ.enable() adds where there is none. */
inline constexpr VersionColumn added_version_column = {InvalidAttrNumber, INT8OID, -1, true,
                                                       VersionKind::bigint};

/* The kind of version that a type holds; false if it can't hold one. */
bool version_kind_of(Oid type, VersionKind *kind);

/*
 * Find the version column by name.  Errors: 42703 (no such column), 42804
 * (type that can't hold a version), 42P17 (generated or system column).
 */
VersionColumn find_version_column(Relation relation, std::string_view name);

/* Can a client know the next version of such a column? */
constexpr bool
has_known_next(VersionKind kind)
{
    return !is_time(kind) && kind != VersionKind::uuid;
}

/* Raise 22023 if an option makes no sense for the version's type. */
void check_policy(Relation relation, const VersionColumn &column, const Policy &policy);

/* The user column of that name, or InvalidAttrNumber. */
AttrNumber find_column(TupleDesc descriptor, std::string_view name);

/* The columns that name a row.  count is 0 if the table has no key. */
struct Key {
    int count = 0;
    Oid index = InvalidOid; /* the unique index that says so, if the columns were not listed */
    AttrNumber attnums[INDEX_MAX_KEYS] = {};
};

/*
 * The key of a relation: the columns that the option key lists, else the
 * primary key, else the replica identity, else the oldest unique index over
 * NOT NULL columns.  On a partition, an index that comes from the partitioned
 * table goes first, so that all partitions agree.
 *
 * Reads the catalogues only, so that occ.tables waits for no lock.  Columns of
 * the option that do not exist are left out: find_columns() is the check.
 */
Key find_key(Oid relid, std::string_view key_option);

/* An array of names. */
ArrayType *name_array(Datum *names, int count);

/* The names of the columns of a key. */
ArrayType *key_names(Oid relid, const Key &key);

/* Is an index a B-tree?  Others may be unique as well: a key WITHOUT OVERLAPS is GiST. */
bool is_btree(Oid index);

/* A unique index, best a B-tree, that says that no two rows agree in the columns of a key, or
 * InvalidOid. */
Oid find_unique_index(Oid relid, const Key &key);

/* The names in an array literal as columns of the relation.  Error: 42703. */
Bitmapset *find_columns(Relation relation, std::string_view literal, const char *option);

/* Does a relation of that kind hold rows that can be guarded? */
constexpr bool
is_table(char relkind)
{
    return relkind == RELKIND_RELATION || relkind == RELKIND_PARTITIONED_TABLE ||
           relkind == RELKIND_FOREIGN_TABLE;
}

/* The partitioned table at the top of a partition's tree, else the relation itself. */
Oid root_of(Relation relation);

/* "schema.table", quoted where SQL needs it. */
char *qualified_name(Oid relid);

/* The same as a string literal, for calls that hints suggest. */
char *name_literal(Oid relid);

/* Within ereport(): what errtable() does for a relation that is open. */
void set_table_fields(Oid relid);

/*
 * Raise 55000: two guards would each bump, and each take the other's bump for
 * a stated version.
 */
[[noreturn]] void raise_two_guards(Relation relation, const char *one, const char *other);

/* What fires a guard (pg_trigger.tgtype): deletes only if they are checked. */
constexpr int
trigger_type(Deletes deletes)
{
    return TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE |
           (deletes == Deletes::checked ? TRIGGER_TYPE_DELETE : 0);
}

/* Does a trigger run on every row that an UPDATE changes, outside of replication? */
bool is_before_update_row(const Trigger &trigger);

}  // namespace occ

#endif
