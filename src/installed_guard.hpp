/*
 * The guard as an object in the catalogues: which tables may have one, which
 * one they have, and the DDL that changes it.  occ.enable() and occ.disable()
 * stand on this.
 */
#ifndef OCC_INSTALLED_GUARD_HPP
#define OCC_INSTALLED_GUARD_HPP

#include "arguments.hpp"
#include "pg.hpp"

namespace occ {

/*
 * The trigger that occ.enable() makes.  BEFORE triggers fire in byte order of
 * their names, and the guard must see the client's version before another
 * trigger overwrites it.
 */
inline constexpr const char *guard_name = "_occ_guard";

/* A copy of what pg_trigger says of a table's guard. */
struct InstalledGuard {
    bool exists = false;
    NameData name = {};
    bool is_clone = false;     /* made by PostgreSQL on a partition */
    bool is_plain = false;     /* without WHEN or a column list, and the events are what it needs */
    bool sees_updates = false; /* fires on every row that is updated, or would without WHEN */
    char enabled = '\0';
    Arguments arguments;
};

/*
 * Raise unless the current user may guard that relation: 42P01 (not there),
 * 42809 (no table), 42501 (system catalogue, or not the owner), 0A000
 * (another session's temporary table).
 */
void check_may_guard(Oid relid);

/* Open a relation and lock it; 42P01 if it is gone. */
Relation open_table(Oid relid, LOCKMODE lockmode);

/*
 * The function guard() beside the function with that OID, in whatever schema:
 * somebody may have renamed ours.  Error: 42883 (not there, or not ours).
 */
Oid guard_function(Oid sibling);

/* The trigger of an open relation that executes guard; a second one is an error (55000). */
InstalledGuard installed_guard(Relation relation, Oid guard);

/*
 * Raise 55000 if the guard is a partition's share of its partitioned table's.
 * function is "enable" or "disable", for the hint.
 */
void check_not_clone(Relation relation, const InstalledGuard &installed, const char *function);

/*
 * Raise if occ.enable() can't make or change the guard of this table: another
 * trigger has its name (42710), it has another name (42710), or it is a
 * partition's share of its partitioned table's guard (55000).
 */
void check_installed(Relation relation, const InstalledGuard &installed);

/*
 * Raise 42710 if a partition has a guard of its own: it would stand in the way.
 * Returns whether the guard is enabled on all partitions that have it.
 */
bool check_partitions(Oid relid, Oid guard);

/*
 * The name of a function's schema, which stays that schema's until the
 * transaction ends: whoever owns it may rename it, and make another one of the
 * old name, between two commands that have the name in them.
 */
char *lock_schema_of(Oid function);

/* Run one DDL command as the current user.  Every name in it must be qualified. */
void run_ddl(const char *command);

/* The tables that inherit from this one, each locked.  Partitions are not among them. */
List *inheritance_children(Oid relid, LOCKMODE lockmode);

}  // namespace occ

#endif
