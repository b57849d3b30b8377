/* occ.auto_enable() and occ.auto_disable(): guard tables as they are made, or no longer. */
#include "pg.hpp"

#include "arguments.hpp"
#include "installed_guard.hpp"

extern "C" {
PG_FUNCTION_INFO_V1(occ_auto_enable);
PG_FUNCTION_INFO_V1(occ_auto_disable);
}

namespace occ {

namespace {

/*
 * What stands for one version column: a function that holds the options as a
 * setting, and the event triggers that fire it.  pg_dump carries all of it, and
 * options in a table of our own would have to be kept from the users' hands.
 */
struct AutoEnable {
    char *function; /* qualified */
    const char *on_end;
    const char *on_start;
    bool exists;
};

/* What tells names of long columns apart, which are cut off; null for others. */
const char *
label_of(const char *column)
{
    constexpr std::size_t longest = 40;
    const std::size_t length = strlen(column);

    return length <= longest
               ? nullptr
               : psprintf("%08x", hash_bytes(reinterpret_cast<const unsigned char *>(column),
                                             static_cast<int>(length)));
}

AutoEnable
auto_enable_for(const char *column, Oid sibling)
{
    char *schema = lock_schema_of(sibling);
    const char *label = label_of(column);
    char *name = makeObjectName("auto_enable", column, label);
    AutoEnable result = {quote_qualified_identifier(schema, name),
                         makeObjectName("occ_auto_enable", column, label),
                         makeObjectName("occ_auto_attach", column, label), false};

    result.exists = OidIsValid(
        LookupFuncName(list_make2(makeString(schema), makeString(name)), 0, nullptr, true));
    return result;
}

const char *
column_argument(FunctionCallInfo fcinfo)
{
    return PG_ARGISNULL(0) ? "version" : pstrdup(NameStr(*PG_GETARG_NAME(0)));
}

void
check_superuser(const char *what)
{
    if (!superuser())
        ereport(
            ERROR, errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("must be superuser to %s", what),
            errdetail("It takes event triggers, which PostgreSQL reserves to superusers."),
            errhint("Call occ.enable() for each table, and see occ.unguarded for those that were "
                    "forgotten."));
}

/*
 * Event triggers first, or the function could not be dropped.  All of it goes
 * even if it is somebody else's: what is made anew must be our own, since a
 * function's owner may change what it does, and superusers will fire this one.
 */
void
drop(const AutoEnable &names)
{
    for (const char *trigger : {names.on_end, names.on_start}) {
        if (OidIsValid(get_event_trigger_oid(trigger, true)))
            run_ddl(psprintf("DROP EVENT TRIGGER %s", quote_identifier(trigger)));
    }
    if (names.exists)
        run_ddl(psprintf("DROP FUNCTION %s()", names.function));
}

/* The library of one of our functions, as CREATE FUNCTION takes it. */
char *
library_of(Oid function)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    bool isnull = true;
    Datum library = 0;

    if (HeapTupleIsValid(tuple))
        library = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_probin, &isnull);
    if (isnull)
        elog(ERROR, "function %u has no library", function);
    char *literal = quote_literal_cstr(TextDatumGetCString(library));
    ReleaseSysCache(tuple);
    return literal;
}

/* Arguments as an array literal, for the function's setting. */
const char *
array_literal(const Arguments &arguments)
{
    ArrayBuildState *array = initArrayResult(TEXTOID, CurrentMemoryContext, false);

    for (const std::string_view argument : arguments.span())
        array = accumArrayResult(array,
                                 PointerGetDatum(cstring_to_text_with_len(
                                     argument.data(), static_cast<int>(argument.size()))),
                                 false, TEXTOID, CurrentMemoryContext);
    return OidOutputFunctionCall(F_ARRAY_OUT, makeArrayResult(array, CurrentMemoryContext));
}

/* The arguments of the guards to come.  What is left at its default is not written down. */
Arguments
collect_arguments(FunctionCallInfo fcinfo)
{
    static constexpr TextOption texts[] = {{1, "preset", "shared"},       {2, "token", nullptr},
                                           {3, "echo", nullptr},          {4, "unstated", nullptr},
                                           {5, "deletes", nullptr},       {6, "enforce", "error"},
                                           {7, "time_precision", nullptr}};
    Arguments arguments;

    arguments.add(column_argument(fcinfo));
    add_text_options(&arguments, fcinfo, texts);
    return arguments;
}

}  // namespace

}  // namespace occ

/*
 * occ.auto_enable(version_column name, preset text, token text, echo text,
 * unstated text, deletes text, enforce text, time_precision text) RETURNS void
 *
 * From now on, a table that is made with that column, or gets it, is guarded
 * with these options.  Called again for the same column, it sets them anew.
 * Not strict: an argument that is null has its default.
 *
 * Errors: 42501 (not superuser), 22023 (options).
 */
Datum
occ_auto_enable(PG_FUNCTION_ARGS)
{
    using namespace occ;

    check_superuser("guard new tables automatically");

    const Arguments arguments = collect_arguments(fcinfo);
    check_options(parse_options(arguments.span()), nullptr, nullptr);

    const Oid self = fcinfo->flinfo->fn_oid;
    const AutoEnable names = auto_enable_for(arguments.items[0].data(), self);
    drop(names);
    run_ddl(psprintf("CREATE FUNCTION %s() RETURNS pg_catalog.event_trigger LANGUAGE c "
                     "SET occ_lock.auto_enable TO %s AS %s, 'occ_guard_new_tables'",
                     names.function, quote_literal_cstr(array_literal(arguments)),
                     library_of(self)));
    run_ddl(psprintf("ALTER FUNCTION %s() DEPENDS ON EXTENSION occ_lock", names.function));
    run_ddl(psprintf("CREATE EVENT TRIGGER %s ON ddl_command_end WHEN TAG IN ('CREATE TABLE', "
                     "'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA', 'ALTER TABLE') "
                     "EXECUTE FUNCTION %s()",
                     quote_identifier(names.on_end), names.function));
    run_ddl(psprintf("CREATE EVENT TRIGGER %s ON ddl_command_start WHEN TAG IN ('ALTER TABLE') "
                     "EXECUTE FUNCTION %s()",
                     quote_identifier(names.on_start), names.function));
    PG_RETURN_VOID();
}

/*
 * occ.auto_disable(version_column name) RETURNS void
 *
 * Tables that are guarded remain so.  Error: 42501 (not superuser).
 */
Datum
occ_auto_disable(PG_FUNCTION_ARGS)
{
    using namespace occ;

    check_superuser("stop guarding new tables");

    const char *column = column_argument(fcinfo);
    const AutoEnable names = auto_enable_for(column, fcinfo->flinfo->fn_oid);
    if (!names.exists)
        ereport(NOTICE, errmsg("new tables with a column \"%s\" are not guarded", column));
    drop(names);
    PG_RETURN_VOID();
}
