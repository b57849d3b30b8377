/* Calls of occ.next_version() in SET lists: see version_call.hpp. */
#include "pg.hpp"

#include "inlinable.hpp"
#include "version_call.hpp"

extern "C" Datum occ_next_version(PG_FUNCTION_ARGS);

namespace occ {

List *
writes_of(Query *statement)
{
    List *writes = NIL;
    ListCell *cell;

    if (statement->commandType != CMD_SELECT && statement->commandType != CMD_UTILITY)
        writes = lappend(writes, statement);
    if (statement->hasModifyingCTE) {
        foreach (cell, statement->cteList) {
            const auto *cte = castNode(CommonTableExpr, lfirst(cell));
            writes = list_concat(writes, writes_of(castNode(Query, cte->ctequery)));
        }
    }
    return writes;
}

bool
is_written_elsewhere(const List *writes, const Query *query)
{
    const ListCell *cell;

    foreach (cell, writes) {
        const auto *other = static_cast<const Query *>(lfirst(cell));
        if (other != query && written_table(other)->relid == written_table(query)->relid)
            return true;
    }
    return false;
}

TargetEntry *
set_entry(const List *set_list, AttrNumber attnum)
{
    const ListCell *cell;

    foreach (cell, set_list) {
        auto *entry = static_cast<TargetEntry *>(lfirst(cell));
        if (!entry->resjunk && entry->resno == attnum)
            return entry;
    }
    return nullptr;
}

Oid
find_next_version(Oid guard, bool states)
{
    const Oid types[] = {INTERNALOID, REGCLASSOID, ANYELEMENTOID, ANYELEMENTOID};
    const oidvector *arguments = buildoidvector(types, states ? 4 : 3);
    const Oid function =
        GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("next_version"),
                        PointerGetDatum(arguments), ObjectIdGetDatum(get_func_namespace(guard)));

    return OidIsValid(function) &&
                   is_our_function(function, "occ_next_version", occ_next_version) &&
                   pg::may_execute(function, GetUserId())
               ? function
               : InvalidOid;
}

bool
is_for_everybody(Oid next_version)
{
    return pg::may_execute(next_version, ACL_ID_PUBLIC);
}

void
put_version_call(const Query *query, List **set_list, const VersionColumn &version,
                 Oid next_version, bool states)
{
    const Oid relid = written_table(query)->relid;
    auto *stored = reinterpret_cast<Expr *>(makeVar(query->resultRelation, version.attnum,
                                                    version.type, version.typmod, InvalidOid, 0));
    auto *marker = makeNullConst(INTERNALOID, -1, InvalidOid);
    auto *table =
        makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(relid), false, true);
    TargetEntry *entry = set_entry(*set_list, version.attnum);
    List *arguments = list_make2(marker, table);

    if (states || entry == nullptr)
        arguments = lappend(arguments, stored);
    if (entry != nullptr)
        arguments = lappend(arguments, entry->expr);
    auto *next = reinterpret_cast<Expr *>(makeFuncExpr(
        next_version, version.type, arguments, InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
    if (entry != nullptr) {
        entry->expr = next;
        return;
    }

    /* The planner wants what is not stored to stand last. */
    int position = 0;
    while (position < list_length(*set_list) &&
           !static_cast<TargetEntry *>(list_nth(*set_list, position))->resjunk)
        position++;
    *set_list = list_insert_nth(
        *set_list, position,
        makeTargetEntry(next, version.attnum, get_attname(relid, version.attnum, false), false));
}

}  // namespace occ
