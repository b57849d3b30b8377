/* Puts the check of a guarded table's version into the plan of an UPDATE. */
#ifndef OCC_INLINE_PLAN_HPP
#define OCC_INLINE_PLAN_HPP

namespace occ {

/* Install the planner hook; called once, at load. */
void inline_guards_into_plans();

}  // namespace occ

#endif
