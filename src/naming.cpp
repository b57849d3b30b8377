/* Whether the action that updates a row names the version column: see naming.hpp. */
#include "pg.hpp"

#include "naming.hpp"
#include "watched_query.hpp"

namespace occ {

namespace {

/* Is a table updated in that state by actions of which some set the column and some don't? */
bool
has_unlike_actions(const ModifyTableState *state, Oid relid, AttrNumber attnum)
{
    bool some_set = false;
    bool some_do_not = false;

    for (int i = 0; i < state->mt_nrels; i++) {
        if (RelationGetRelid(state->resultRelInfo[i].ri_RelationDesc) != relid)
            continue;
        pg::for_each_merge_update(pg::merge_actions(state, i), [&](const auto *action) {
            (list_member_int(action->updateColnos, attnum) ? some_set : some_do_not) = true;
        });
    }
    return some_set && some_do_not;
}

/* Is that slot where a ModifyTable has its triggers see the old row? */
bool
owns_slot(const ModifyTableState *state, const TupleTableSlot *slot)
{
    ListCell *cell;

    for (int i = 0; i < state->mt_nrels; i++) {
        if (state->resultRelInfo[i].ri_TrigOldSlot == slot)
            return true;
    }
    foreach (cell, state->ps.state->es_tuple_routing_result_relations) {
        const auto *leaf = static_cast<const ResultRelInfo *>(lfirst(cell));
        if (leaf->ri_TrigOldSlot == slot && leaf->ri_RootResultRelInfo == state->rootResultRelInfo)
            return true;
    }
    return false;
}

}  // namespace

NamingMark *
naming_mark(WatchedQuery *watched, Oid relid)
{
    for (NamingMark *mark = watched->marks; mark != nullptr; mark = mark->next) {
        if (mark->relid == relid)
            return mark;
    }

    auto *mark =
        static_cast<NamingMark *>(MemoryContextAllocZero(watched->context, sizeof(NamingMark)));
    int statements = 0;
    for_each_modify_table(watched->query, [&](const ModifyTableState *state) {
        statements += named_table_of(state) == relid;
    });
    mark->relid = relid;
    mark->is_ambiguous = statements != 1;
    mark->next = watched->marks;
    watched->marks = mark;
    return mark;
}

Naming
naming_of(const TriggerData *trigger, AttrNumber version)
{
    const WatchedQuery *watched = find_watched_query(trigger->tg_trigslot->tts_mcxt);
    const ModifyTableState *statement = nullptr;

    if (watched == nullptr)
        return {nullptr, true};
    for_each_modify_table(watched->query, [&](const ModifyTableState *state) {
        if (owns_slot(state, trigger->tg_trigslot))
            statement = state;
    });
    if (statement == nullptr)
        return {nullptr, false};
    for (const NamingMark *mark = watched->marks; mark != nullptr; mark = mark->next) {
        if (mark->relid == named_table_of(statement) && !mark->is_ambiguous)
            return {mark, false};
    }
    return {nullptr,
            has_unlike_actions(statement, RelationGetRelid(trigger->tg_relation), version)};
}

bool
has_unlike_actions(const QueryDesc *query, Oid relid, const char *column)
{
    const AttrNumber attnum = get_attnum(relid, column);
    bool found = false;

    for_each_modify_table(query, [&](const ModifyTableState *state) {
        found = found || has_unlike_actions(state, relid, attnum);
    });
    return found;
}

}  // namespace occ
