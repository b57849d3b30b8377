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

}  // namespace

void
mark_checked_query(CheckedQuery::Kind kind)
{
    auto *query = static_cast<CheckedQuery *>(palloc0(sizeof(CheckedQuery)));

    query->kind = kind;
    query->context = CurrentMemoryContext;
    query->on_reset.func = occ_checked_query_is_gone;
    query->on_reset.arg = query;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &query->on_reset);
    query->next = all_checked;
    all_checked = query;
}

CheckedQuery::Kind
checked_query(MemoryContext query_context)
{
    for (const CheckedQuery *query = all_checked; query != nullptr; query = query->next) {
        if (query->context == query_context)
            return query->kind;
    }
    return CheckedQuery::Kind::none;
}

}  // namespace occ
