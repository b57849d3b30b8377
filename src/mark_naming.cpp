/* Marks statements by what their SET lists name: see mark_naming.hpp. */
#include "pg.hpp"

#include "inlinable.hpp"
#include "mark_naming.hpp"
#include "version_call.hpp"

namespace occ {

namespace {

/* Call action with each SET list of a statement. */
template <class Action>
void
for_each_set_list(Query *query, const Action &action)
{
    if (query->commandType == CMD_UPDATE)
        action(&query->targetList);
    else if (query->commandType == CMD_INSERT && query->onConflict != nullptr &&
             query->onConflict->action == ONCONFLICT_UPDATE)
        action(&query->onConflict->onConflictSet);
    else if (pg::is_merge(query))
        pg::for_each_merge_update(pg::merge_actions(query),
                                  [&](auto *merge) { action(&merge->targetList); });
}

/*
 * Is an expression the column's default, put there by DEFAULT or for a column
 * that was left out?  What stands in the statement itself has a location there.
 * A default that is computed, now() say, is a value of its own.
 */
bool
is_constant_default(const Expr *expression, Relation relation, AttrNumber attnum)
{
    const Node *node = reinterpret_cast<const Node *>(expression);

    if (exprLocation(node) >= 0 || contain_mutable_functions(const_cast<Node *>(node)))
        return false;
    const Node *by_default = build_column_default(relation, attnum);
    return by_default != nullptr
               ? equal(node, by_default)
               : IsA(node, Const) && reinterpret_cast<const Const *>(node)->constisnull;
}

/*
 * Does a SET list say which version was read?  A default says nothing, also as
 * excluded.version of an INSERT that gives none; it is taken for what it is
 * only where that makes a difference.
 */
bool
names_version(const Query *query, const List *set_list, Relation relation, const KnownGuard &guard)
{
    const AttrNumber attnum = guard.version.attnum;
    const TargetEntry *entry = set_entry(set_list, attnum);

    if (entry == nullptr)
        return false;
    if (!refuses_unstated(guard.policy))
        return true;
    if (query->commandType == CMD_INSERT && IsA(entry->expr, Var)) {
        const auto *var = castNode(Var, entry->expr);
        if (var->varno == query->onConflict->exclRelIndex && var->varattno == attnum)
            entry = set_entry(query->targetList, attnum);
        return entry != nullptr && !is_constant_default(entry->expr, relation, attnum);
    }
    return !is_constant_default(entry->expr, relation, attnum);
}

/* Has a SET list something in it that does not stand in the statement? */
bool
sets_implicitly(const List *set_list)
{
    const ListCell *cell;

    foreach (cell, set_list) {
        const auto *entry = static_cast<const TargetEntry *>(lfirst(cell));
        if (!entry->resjunk && exprLocation(reinterpret_cast<const Node *>(entry->expr)) < 0)
            return true;
    }
    return false;
}

/* Might a statement have to be marked?  A look at the query alone, which mostly says no. */
bool
may_have_to_be_marked(const Query *query)
{
    switch (query->commandType) {
    case CMD_UPDATE:
        return sets_implicitly(query->targetList);
    case CMD_INSERT:
        return query->onConflict != nullptr && query->onConflict->action == ONCONFLICT_UPDATE;
    default:
        return pg::is_merge(query);
    }
}

/* The statement to mark, with its guard, and the functions that mark it. */
struct Marking {
    KnownGuard guard;
    Oid names;
    Oid does_not;
};

/* Is a statement to be marked, and can it be? */
bool
is_to_mark(Query *query, Marking *marking)
{
    RangeTblEntry *entry = written_table(query);
    bool all_name = true;

    if (!may_have_to_be_marked(query) || entry->rtekind != RTE_RELATION)
        return false;
    Relation relation = table_open(entry->relid, NoLock); /* whoever plans has locked it */
    const bool sets_version =
        find_known_guard(relation, &marking->guard) &&
        bms_is_member(marking->guard.version.attnum - FirstLowInvalidHeapAttributeNumber,
                      pg::columns_set(query, entry));
    if (sets_version)
        for_each_set_list(query, [&](List **set_list) {
            all_name = all_name && names_version(query, *set_list, relation, marking->guard);
        });
    table_close(relation, NoLock);
    if (!sets_version || all_name)
        return false;

    marking->names = find_next_version(marking->guard.function, true);
    marking->does_not = find_next_version(marking->guard.function, false);
    return OidIsValid(marking->names) && OidIsValid(marking->does_not);
}

void
mark(Query *query, const Marking &marking)
{
    Relation relation = table_open(written_table(query)->relid, NoLock);

    for_each_set_list(query, [&](List **set_list) {
        const bool names = names_version(query, *set_list, relation, marking.guard);
        put_version_call(query, set_list, marking.guard.version,
                         names ? marking.names : marking.does_not, names);
    });
    table_close(relation, NoLock);
}

}  // namespace

bool
mark_naming(const List *writes, List **marked)
{
    bool for_everybody = true;
    const ListCell *cell;

    foreach (cell, writes) {
        auto *query = static_cast<Query *>(lfirst(cell));
        Marking marking;
        if (!is_to_mark(query, &marking) || is_written_elsewhere(writes, query))
            continue;
        mark(query, marking);
        *marked = lappend(*marked, query);
        for_everybody =
            for_everybody && is_for_everybody(marking.names) && is_for_everybody(marking.does_not);
    }
    return for_everybody;
}

}  // namespace occ
