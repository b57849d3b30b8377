/*
 * The table that a set function works on: its guard, its version column, and
 * its key with the operators that tell keys apart and put them in order.
 */
#ifndef OCC_TARGET_HPP
#define OCC_TARGET_HPP

#include "pg.hpp"
#include "relation.hpp"
#include "version.hpp"

namespace occ {

/* One column of the key, compared as the key's index compares it. */
struct KeyPart {
    Form_pg_attribute column; /* belongs to Target::columns */
    Oid collation;
    Oid equality; /* operators */
    Oid less;
};

struct Target {
    Relation relation;
    TupleDesc columns;       /* a copy: a relation that is open may still get another descriptor */
    bool is_alone;           /* a table without children, even if it gets some while we wait */
    bool has_foreign_tables; /* it is one, or some of its partitions or children are */

    bool guarded;
    bool has_ignore;
    Oid guard_function;
    Policy policy;
    VersionColumn version; /* attnum is invalid if the table has no guard */
    NameData version_column;
    NameData trigger;

    int key_count;
    KeyPart *key;

    Oid relid() const { return RelationGetRelid(relation); }
    TupleDesc descriptor() const { return columns; }
    Form_pg_attribute version_attribute() const
    {
        return TupleDescAttr(columns, version.attnum - 1);
    }
};

/* What a set function needs of its table. */
enum class Needs : std::uint8_t {
    guard, /* the version decides */
    key,   /* something else does, and a guard is welcome */
};

/*
 * Open and lock the table that a set function was called for; the lock is kept
 * until the transaction ends.  Errors: 22004 (null), 42P01 (not there), 42809
 * (a view), 42501 (system catalog, or no right to use the schema), 0A000 (a
 * rule), 55000 (no guard, one that does not fire, no key, the version in the
 * key), 42883 (a key that cannot be compared).
 */
Target open_target(FunctionCallInfo fcinfo, int argument, LOCKMODE lockmode, Needs needs);

/* Has a table of the target's tree a guard that fires on updates? */
bool has_guard(const Target &target, Oid relid);

/* Have all of them? */
bool is_guarded_everywhere(const Target &target);

/*
 * Is setting these columns a change of the key, in the sense of row locks: of a
 * column of a unique index or of a partition key, in any table of the tree?
 */
bool changes_key(const Target &target, const Bitmapset *columns);

}  // namespace occ

#endif
