/*
 * Marks statements in which not every SET list names the version column, though
 * the statement sets it: see naming.hpp.
 */
#ifndef OCC_MARK_NAMING_HPP
#define OCC_MARK_NAMING_HPP

#include "pg.hpp"

namespace occ {

/*
 * Mark what has to be marked among the statements of a query tree that is
 * being planned.  *marked gets those.  Returns whether everybody may execute
 * the plan.
 */
bool mark_naming(const List *writes, List **marked);

}  // namespace occ

#endif
