/* The settings occ_lock.*: what a session may choose. */
#ifndef OCC_SETTINGS_HPP
#define OCC_SETTINGS_HPP

namespace occ::settings {

/* Let rows pass as stated, for repairs.  Superuser, or who was granted SET on it. */
extern bool bypass;

/* How many stale rows the DETAIL of one conflict lists.  The count is exact all the same. */
extern int max_reported_rows;

/* Check versions in the plan of an UPDATE where that comes to the same as the trigger. */
extern bool inline_guards;

/* What occ.auto_enable() has given an event trigger function to do: a guard's arguments, as an
 * array literal. */
extern char *auto_enable;

/* The SQLSTATE of conflicts, encoded as errcode() takes it. */
int conflict_sqlstate();

/* Define them all; called once, when the library is loaded. */
void define();

}  // namespace occ::settings

#endif
