/* The queries by which occ_lock itself writes: see checked_query.hpp. */
#include "pg.hpp"

#include "checked_query.hpp"

namespace occ {

namespace {

/* Those that are running, innermost first. */
CheckedQuery *all_checked = nullptr;

extern "C" void
occ_checked_query_is_gone(void *argument)
{
    for (CheckedQuery **link = &all_checked; *link != nullptr; link = &(*link)->next) {
        if (*link == argument) {
            *link = (*link)->next;
            break;
        }
    }
}

/*
 * Is a table a partition or an inheritance child of another one, at any depth?
 * Looks upwards, where there are few: a query may ask this for every partition.
 */
bool
is_below(Oid relid, Oid ancestor)
{
    return typeInheritsFrom(get_rel_type_id(relid), get_rel_type_id(ancestor));
}

}  // namespace

void
mark_checked_query(const CheckedMark &mark)
{
    auto *query = static_cast<CheckedQuery *>(palloc0(sizeof(CheckedQuery)));

    query->kind = mark.kind;
    query->relid = mark.relid;
    query->version_column = mark.version_column;
    query->context = CurrentMemoryContext;
    query->on_reset.func = occ_checked_query_is_gone;
    query->on_reset.arg = query;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &query->on_reset);
    query->next = all_checked;
    all_checked = query;
}

CheckedQuery::Kind
checked_query(MemoryContext query_context, Relation relation, const NameData &version_column)
{
    const Oid relid = RelationGetRelid(relation);

    for (const CheckedQuery *query = all_checked; query != nullptr; query = query->next) {
        if (query->context != query_context)
            continue;
        const bool same_version =
            strcmp(NameStr(query->version_column), NameStr(version_column)) == 0;
        return same_version && (relid == query->relid || is_below(relid, query->relid))
                   ? query->kind
                   : CheckedQuery::Kind::none;
    }
    return CheckedQuery::Kind::none;
}

}  // namespace occ
