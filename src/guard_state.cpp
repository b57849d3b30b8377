/* What the guard knows of a table while a query runs: see guard_state.hpp. */
#include "pg.hpp"

#include "arguments.hpp"
#include "checked_query.hpp"
#include "guard_state.hpp"
#include "version_types.hpp"

namespace occ {

namespace {

constexpr const char *not_fired_before_update =
    "occ.guard() must be fired BEFORE UPDATE, FOR EACH ROW";

/* A trigger that fires the guard otherwise than it must. */
[[noreturn]] void
raise_wrong_events(const TriggerData *trigger, const char *message)
{
    ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("%s", message),
            errdetail("Trigger \"%s\" on table \"%s\" fires it otherwise.",
                      trigger->tg_trigger->tgname, RelationGetRelationName(trigger->tg_relation)),
            errhint("Drop the trigger and guard the table with occ.enable()."),
            errtable(trigger->tg_relation));
    pg_unreachable();
}

/*
 * Deletes can only be checked by a trigger that fires on them, and that one
 * must see all updates, or it would not know a row that moves.  Who makes a
 * trigger by hand may leave the deletes out of a preset, but not ask for them
 * and leave them out.
 */
void
check_events(const TriggerData *trigger, const Options &options)
{
    const int16 type = trigger->tg_trigger->tgtype;
    const bool sees_deletes = TRIGGER_FOR_DELETE(type) != 0;

    if (TRIGGER_FOR_UPDATE(type) &&
        (options.policy.deletes == Deletes::allow ||
         (sees_deletes ? trigger->tg_trigger->tgnattr == 0 : !options.deletes_given)))
        return;
    raise_wrong_events(trigger, TRIGGER_FOR_UPDATE(type)
                                    ? "occ.guard() with deletes=checked must be fired BEFORE "
                                      "UPDATE OR DELETE, without a list of columns"
                                    : not_fired_before_update);
}

void
check_only_guard(const TriggerData *trigger)
{
    const TriggerDesc *triggers = trigger->tg_relation->trigdesc;

    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger &other = triggers->triggers[i];
        if (other.tgfoid == trigger->tg_trigger->tgfoid &&
            other.tgoid != trigger->tg_trigger->tgoid && is_before_update_row(other))
            raise_two_guards(trigger->tg_relation, trigger->tg_trigger->tgname, other.tgname);
    }
}

/*
 * Is the guard the last BEFORE trigger on updates?  The list is in the order of
 * firing; there is none if the statement has dropped them, which goes on with
 * those that it started with.
 */
bool
is_last(const TriggerData *trigger)
{
    const TriggerDesc *triggers = trigger->tg_relation->trigdesc;

    if (triggers == nullptr)
        return false;
    for (int i = triggers->numtriggers - 1; i >= 0; i--) {
        const Trigger &last = triggers->triggers[i];
        if (is_before_update_row(last))
            return last.tgoid == trigger->tg_trigger->tgoid;
    }
    return true;
}

/* With ignore: the columns whose change counts, all but the ignored ones. */
void
find_compared_columns(GuardState *guard, Relation relation, std::string_view ignore)
{
    TupleDesc descriptor = RelationGetDescr(relation);
    const Bitmapset *ignored = find_columns(relation, ignore, "ignore");

    if (ignored == nullptr)
        return;
    guard->compared =
        static_cast<AttrNumber *>(palloc(sizeof(AttrNumber) * (descriptor->natts + 1)));
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && attribute->attgenerated == '\0' &&
            attribute->attnum != guard->version.attnum &&
            !bms_is_member(attribute->attnum, ignored))
            guard->compared[guard->compared_count++] = attribute->attnum;
    }
}

}  // namespace

void
raise_protocol_violation(FunctionCallInfo fcinfo)
{
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("occ.guard() was not called by the trigger manager"),
                errhint("Guard a table with occ.enable()."));

    raise_wrong_events(reinterpret_cast<TriggerData *>(fcinfo->context), not_fired_before_update);
}

GuardState *
prepare_guard(FunctionCallInfo fcinfo, const TriggerData *trigger)
{
    Relation relation = trigger->tg_relation;
    MemoryContext query_context = trigger->tg_trigslot->tts_mcxt;
    MemoryContext old = MemoryContextSwitchTo(query_context);
    const Options options = options_of(*trigger->tg_trigger, relation);
    check_events(trigger, options);
    check_only_guard(trigger);
    auto *guard = static_cast<GuardState *>(palloc0(sizeof(GuardState)));
    guard->relid = RelationGetRelid(relation);
    guard->trigger = trigger->tg_trigger->tgoid;
    guard->is_partition = relation->rd_rel->relispartition;
    guard->policy = options.policy;
    guard->version = find_version_column(relation, options.version_column);
    const CheckedQuery::Kind checked = checked_query(
        query_context, relation,
        TupleDescAttr(RelationGetDescr(relation), guard->version.attnum - 1)->attname);
    guard->checked = checked != CheckedQuery::Kind::none;
    check_policy(relation, guard->version, guard->policy);
    guard->attribute = describe_attribute(RelationGetDescr(relation), guard->version.attnum);
    if (is_time(guard->version.kind))
        guard->clock = statement_clock(guard->version.kind);
    guard->key_option = options.key;
    find_columns(relation, options.key, "key");
    find_compared_columns(guard, relation, options.ignore);
    if (checked == CheckedQuery::Kind::touch)
        guard->compared = nullptr; /* the version is to move though nothing changes */
    guard->has_the_last_word = is_last(trigger);
    ItemPointerSetInvalid(&guard->passed);
    MemoryContextSwitchTo(old);

    fcinfo->flinfo->fn_extra = guard; /* only once it is complete */
    return guard;
}

}  // namespace occ
