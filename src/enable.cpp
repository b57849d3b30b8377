/* occ.enable(): guard a table. */
#include "pg.hpp"

#include "install_guard.hpp"
#include "installed_guard.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_enable);
}

namespace occ {

namespace {

/*
 * The guard's arguments, from those of occ.enable().  What is left at its
 * default is not written down.
 */
Arguments
collect_arguments(FunctionCallInfo fcinfo)
{
    static constexpr TextOption texts[] = {{2, "preset", "shared"},       {4, "token", nullptr},
                                           {5, "echo", nullptr},          {6, "unstated", nullptr},
                                           {7, "deletes", nullptr},       {8, "enforce", "error"},
                                           {9, "time_precision", nullptr}};
    static constexpr struct {
        int number;
        const char *name;
    } lists[] = {{3, "ignore"}, {10, "key"}};
    Arguments arguments;

    arguments.add(PG_ARGISNULL(1) ? "version" : pstrdup(NameStr(*PG_GETARG_NAME(1))));
    add_text_options(&arguments, fcinfo, texts);
    for (const auto &list : lists) {
        if (PG_ARGISNULL(list.number))
            continue;
        ArrayType *names = PG_GETARG_ARRAYTYPE_P(list.number);
        if (ARR_NDIM(names) > 0)
            arguments.add(names_argument(list.name, names));
    }
    return arguments;
}

}  // namespace

}  // namespace occ

/*
 * occ.enable(relation regclass, version_column name, preset text, ignore
 * name[], token text, echo text, unstated text, deletes text, enforce text,
 * time_precision text, key name[]) RETURNS void
 *
 * Not strict: every argument but the first may be null and then has its
 * default.  Inheritance children get a trigger each; partitions get theirs
 * from PostgreSQL.
 */
Datum
occ_enable(PG_FUNCTION_ARGS)
{
    using namespace occ;

    if (PG_ARGISNULL(0))
        ereport(ERROR, errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                errmsg("the relation to guard is null"),
                errhint("Name a table: occ.enable('product')."));

    const Oid relid = PG_GETARG_OID(0);
    const Arguments arguments = collect_arguments(fcinfo);

    check_options(parse_options(arguments.span()), nullptr, nullptr);
    const Oid guard = guard_function(fcinfo->flinfo->fn_oid);
    install_guard(relid, guard, arguments, KeyRule::required);
    PG_RETURN_VOID();
}
