/* The settings occ_lock.*: see settings.hpp. */
#include "pg.hpp"

#include "settings.hpp"
#include "sqlstate.hpp"

namespace occ::settings {

bool bypass = false;
int max_reported_rows = 1000;
bool inline_guards = true;
char *auto_enable = nullptr;

namespace {

char *conflict_sqlstate_text = nullptr;
int conflict_sqlstate_code = sqlstate::conflict;

/*
 * PT4xx or 40001.  Any other SQLSTATE would let a caller choose which
 * exception handler of somebody else's function a conflict runs into.
 */
bool
is_allowed(std::string_view state)
{
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };

    return state == "40001" || (state.size() == 5 && state[0] == 'P' && state[1] == 'T' &&
                                state[2] == '4' && digit(state[3]) && digit(state[4]));
}

extern "C" bool
occ_check_conflict_sqlstate(char **value, void **, GucSource)
{
    if (is_allowed(*value))
        return true;
    GUC_check_errdetail(
        "The SQLSTATE of a conflict is \"PT409\", another \"PT4xx\", or \"40001\".");
    return false;
}

extern "C" void
occ_assign_conflict_sqlstate(const char *value, void *)
{
    conflict_sqlstate_code = MAKE_SQLSTATE(value[0], value[1], value[2], value[3], value[4]);
}

}  // namespace

int
conflict_sqlstate()
{
    return conflict_sqlstate_code;
}

void
define()
{
    DefineCustomBoolVariable(
        "occ_lock.bypass", "Lets writes to guarded tables pass unchecked, for repairs.",
        "Rows are written as stated, and the version is not moved. The server log gets one line a "
        "transaction.",
        &bypass, false, PGC_SUSET, GUC_NOT_IN_SAMPLE, nullptr, nullptr, nullptr);
    DefineCustomIntVariable(
        "occ_lock.max_reported_rows", "Sets how many stale rows the detail of a conflict lists.",
        "The number of conflicts is exact even where the list ends early.", &max_reported_rows,
        1000, 0, 100000, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomBoolVariable(
        "occ_lock.inline", "Checks versions in the plan of an UPDATE, where that is possible.",
        "Results are the same as with the trigger alone, which remains installed and decides in "
        "doubt.",
        &inline_guards, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    DefineCustomStringVariable(
        "occ_lock.conflict_sqlstate", "Sets the SQLSTATE of optimistic lock conflicts.",
        "\"40001\" suits clients that retry whole transactions on a serialization failure.",
        &conflict_sqlstate_text, "PT409", PGC_USERSET, 0, occ_check_conflict_sqlstate,
        occ_assign_conflict_sqlstate, nullptr);
    /* Whoever makes a table fires that function, so everybody must be able to set it. */
    DefineCustomStringVariable(
        "occ_lock.auto_enable",
        "Holds the options of occ.auto_enable(), on the functions that it makes.",
        "It has no effect elsewhere.", &auto_enable, "", PGC_USERSET,
        GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, nullptr, nullptr, nullptr);
    pg::reserve_setting_prefix("occ_lock");
}

}  // namespace occ::settings
