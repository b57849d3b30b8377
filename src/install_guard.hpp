/*
 * Guarding a table, from arguments that have been checked.  occ.enable() and
 * occ.auto_enable() stand on this.
 */
#ifndef OCC_INSTALL_GUARD_HPP
#define OCC_INSTALL_GUARD_HPP

#include "arguments.hpp"
#include "pg.hpp"

namespace occ {

/* Must a table have a key?  A table that is just being made may get its primary key by a later
 * statement. */
enum class KeyRule : std::uint8_t { required, may_come_later };

/*
 * Put the guard on a table and the tables that inherit from it, or set the
 * options of the one that is there anew.  A NOTICE says what changed.  guard
 * is the trigger function.  Raises what docs/errors.md says of occ.enable().
 */
void install_guard(Oid relid, Oid guard, const Arguments &arguments, KeyRule rule);

}  // namespace occ

#endif
