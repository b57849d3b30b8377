/* Which guards can be inlined: see inlinable.hpp. */
#include "pg.hpp"

#include "arguments.hpp"
#include "inlinable.hpp"

extern "C" Datum occ_guard(PG_FUNCTION_ARGS);

namespace occ {

namespace {

/* A function that was seen to be our guard, until some function changes. */
Oid known_guard = InvalidOid;
std::uint64_t changes_of_functions = 0;

extern "C" void
occ_functions_changed(Datum, int, uint32)
{
    known_guard = InvalidOid;
    changes_of_functions++;
}

/*
 * Is that function our guard, and nothing around it (SET, SECURITY DEFINER)?
 * Asked for every UPDATE, and looking it up would be half of what inlining costs one.
 */
bool
is_guard(Oid function)
{
    static bool watching = false;

    if (function == known_guard)
        return true;
    if (!watching) {
        CacheRegisterSyscacheCallback(PROCOID, occ_functions_changed, Datum{0});
        watching = true;
    }
    const std::uint64_t changes = changes_of_functions;
    if (!is_our_function(function, "occ_guard", occ_guard))
        return false;
    if (changes == changes_of_functions) /* else what was seen may be out of date */
        known_guard = function;
    return true;
}

/* Does a trigger fire on each row that an UPDATE changes, whatever it changes? */
bool
sees_every_update(const Trigger &trigger)
{
    return is_before_update_row(trigger) && trigger.tgqual == nullptr && trigger.tgnattr == 0;
}

/* Do all columns of an array literal exist?  The guard would raise if one does not. */
bool
columns_exist(Relation relation, std::string_view literal)
{
    NameList names(literal);
    std::array<char, max_identifier + 1> name;
    std::size_t length;

    if (literal.empty())
        return true;
    while (names.next(name, &length) == NameList::Step::name) {
        if (find_column(RelationGetDescr(relation), {name.data(), length}) == InvalidAttrNumber)
            return false;
    }
    return true;
}

/*
 * The only trigger that an UPDATE fires before it writes a row, or null if
 * there are more of them, whether they are enabled or not, or none.
 */
const Trigger *
only_before_trigger(const TriggerDesc &triggers)
{
    const Trigger *only = nullptr;

    for (int i = 0; i < triggers.numtriggers; i++) {
        const Trigger &trigger = triggers.triggers[i];
        if (!TRIGGER_TYPE_MATCHES(trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE,
                                  TRIGGER_TYPE_UPDATE))
            continue;
        if (only != nullptr)
            return nullptr;
        only = &trigger;
    }
    return only;
}

/* Find the version column, if the guard would accept it. */
bool
find_version(Relation relation, std::string_view name, const Policy &policy, VersionColumn *version)
{
    const AttrNumber attnum = find_column(RelationGetDescr(relation), name);

    if (attnum == InvalidAttrNumber)
        return false;
    Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), attnum - 1);
    *version = {attnum, attribute->atttypid, attribute->atttypmod, attribute->attnotnull,
                VersionKind::bigint};
    return version_kind_of(version->type, &version->kind) && attribute->attgenerated == '\0' &&
           attribute->attidentity != ATTRIBUTE_IDENTITY_ALWAYS &&
           (policy.token != Token::next || has_known_next(version->kind)) &&
           (policy.time_precision == TimePrecision::us || is_time(version->kind));
}

}  // namespace

/*
 * The name of the symbol is compared first: to load a library for the sake of
 * a function that is not ours could fail.
 */
bool
is_our_function(Oid function, const char *symbol, PGFunction address)
{
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    bool same_symbol = false;
    FmgrInfo info;

    if (!HeapTupleIsValid(tuple))
        return false;
    if (reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == ClanguageId) {
        bool isnull;
        const Datum source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
        same_symbol = !isnull && strcmp(TextDatumGetCString(source), symbol) == 0;
    }
    ReleaseSysCache(tuple);
    if (!same_symbol)
        return false;
    fmgr_info(function, &info);
    return info.fn_addr == address;
}

bool
find_known_guard(Relation relation, KnownGuard *guard)
{
    const auto count = [&] {
        return relation->trigdesc != nullptr ? relation->trigdesc->numtriggers : 0;
    };

    /* To look up a function may rebuild the relation; being locked, it has the same triggers. */
    for (int i = 0; i < count(); i++) {
        if (!sees_every_update(relation->trigdesc->triggers[i]) ||
            !is_guard(relation->trigdesc->triggers[i].tgfoid))
            continue;
        const Trigger &trigger = relation->trigdesc->triggers[i];
        const Arguments arguments = arguments_of(trigger);
        const Options options = parse_options(arguments.span());
        guard->function = trigger.tgfoid;
        guard->policy = options.policy;
        return options.problem == OptionProblem::none &&
               find_version(relation, options.version_column, guard->policy, &guard->version);
    }
    return false;
}

bool
find_inlinable_guard(Relation relation, TriggerDesc *const &triggers, InlinableGuard *guard)
{
    const char relkind = relation->rd_rel->relkind;
    const TupleConstr *constraints = RelationGetDescr(relation)->constr;

    if (triggers == nullptr || !triggers->trig_update_before_row)
        return false;
    /* PostgreSQL computes anew only those stored columns that depend on what it knows to change. */
    if ((relkind != RELKIND_RELATION && relkind != RELKIND_PARTITIONED_TABLE) ||
        (constraints != nullptr && constraints->has_generated_stored))
        return false;

    guard->trigger = only_before_trigger(*triggers);
    if (guard->trigger == nullptr || !sees_every_update(*guard->trigger) ||
        !is_guard(guard->trigger->tgfoid))
        return false;

    /*
     * To look up the function may have rebuilt the relation; being locked, it has the same ones.
     * Nothing from here on looks anything up, so the arguments stay where they are.
     */
    guard->trigger = only_before_trigger(*triggers);
    const Arguments arguments = arguments_of(*guard->trigger);
    const Options options = parse_options(arguments.span());
    guard->policy = options.policy;
    guard->key_option = options.key;

    /* A delete that is the half of a move is known by the update that the trigger has seen. */
    const bool deletes_checked = guard->policy.deletes == Deletes::checked;
    if (deletes_checked &&
        (!TRIGGER_FOR_DELETE(guard->trigger->tgtype) || relation->rd_rel->relispartition ||
         relkind == RELKIND_PARTITIONED_TABLE))
        return false;
    return options.problem == OptionProblem::none && options.ignore.empty() &&
           columns_exist(relation, options.key) && guard->policy.enforce == Enforce::error &&
           find_version(relation, options.version_column, guard->policy, &guard->version);
}

}  // namespace occ
