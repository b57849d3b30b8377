/*
 * Which guards can be inlined: the check of the version becomes a part of the
 * plan of an UPDATE, and the trigger is not fired.
 *
 * Inlining is only ever another way to the same result, so a guard is
 * inlinable if an UPDATE of its table provably comes to the same without the
 * trigger.  For everything else there is the trigger.
 */
#ifndef OCC_INLINABLE_HPP
#define OCC_INLINABLE_HPP

#include "pg.hpp"
#include "relation.hpp"

namespace occ {

struct InlinableGuard {
    const Trigger *trigger; /* points into the trigger description that was asked */
    Policy policy;
    VersionColumn version;
    std::string_view key_option; /* points into the trigger's arguments */
};

/* A guard that fires on every row that an UPDATE of its table changes. */
struct KnownGuard {
    Oid function;
    Policy policy;
    VersionColumn version;
};

/* Has a table such a guard, whose options are right?  Raises nothing. */
bool find_known_guard(Relation relation, KnownGuard *guard);

/*
 * Is the guard of a table, if it has one, inlinable?  triggers are those of
 * the relation where the caller has them, or null: the relation cache may move
 * its own meanwhile, and again at the next look into the catalogue.  Raises
 * nothing: a guard that is not right raises its errors when it fires.
 */
bool find_inlinable_guard(Relation relation, TriggerDesc *const &triggers, InlinableGuard *guard);

/* Is a function of the catalogue that one of this library? */
bool is_our_function(Oid function, const char *symbol, PGFunction address);

}  // namespace occ

#endif
