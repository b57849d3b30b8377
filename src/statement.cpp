/*
 * When findings become an error: see statement.hpp.
 *
 * ExecutorFinish runs once for every query that ran to its end, nested ones
 * and those of referential actions included, so it is where a statement's
 * findings are raised.
 */
#include "pg.hpp"

#include "conflict.hpp"
#include "findings.hpp"
#include "naming.hpp"
#include "statement.hpp"

namespace occ {

namespace {

ExecutorFinish_hook_type previous_finish = nullptr;
bool bypass_logged = false;

/* Whose query is at its end, and may start referential actions; or InvalidOid. */
Oid acting_user = InvalidOid;

/*
 * The table whose rights decide what may be shown of a guarded one: that which
 * the statement names, the parent say.
 */
struct NamedTable {
    Oid relid;
    bool policies_applied; /* PostgreSQL applied its SELECT policies, for the current user */
};

NamedTable
named_table(const TableFindings &table, EState *estate)
{
    NamedTable named = {table.relid, false};
    bool found = false;

    for (List *relations :
         {estate->es_opened_result_relations, estate->es_tuple_routing_result_relations}) {
        ListCell *cell;
        foreach (cell, relations) {
            auto *info = static_cast<ResultRelInfo *>(lfirst(cell));
            if (RelationGetRelid(info->ri_RelationDesc) != table.relid)
                continue;
            if (info->ri_RootResultRelInfo != nullptr)
                info = info->ri_RootResultRelInfo;
            if (info->ri_RangeTableIndex == 0)
                continue;
            const pg::NeededPermissions needed =
                pg::needed_permissions(estate, info->ri_RangeTableIndex);
            const bool applied =
                (needed.mode & ACL_SELECT) != 0 &&
                (!OidIsValid(needed.check_as_user) || needed.check_as_user == GetUserId());
            /* A statement may write a table twice; the stricter answer counts. */
            named = {RelationGetRelid(info->ri_RelationDesc),
                     applied && (!found || named.policies_applied)};
            found = true;
        }
    }
    return named;
}

/*
 * Are the AFTER triggers of a query fired by the one that started it?  So it is
 * with referential actions, with what rules make of them, and with a lazily
 * evaluated SELECT, which writes nothing.
 */
bool
leaves_triggers_to_another(const QueryDesc *query)
{
    return query != nullptr && (query->estate->es_top_eflags & EXEC_FLAG_SKIP_TRIGGERS) != 0;
}

/*
 * Is a query the statement of a referential action itself?  What rules of the
 * foreign key's table make of one is not: whoever owns that table has made the
 * rules.  An UPDATE or DELETE that a rule adds has the range table of the
 * original before its own (rewriteRuleAction()), so only the original writes to
 * the first entry, and a referential action names no table but its foreign
 * key's.  An INSERT ... SELECT has not, and can update by ON CONFLICT, but no
 * referential action inserts.
 */
bool
is_referential_action(const QueryDesc *query)
{
    if (!leaves_triggers_to_another(query) || !InNoForceRLSOperation() ||
        (query->operation != CMD_UPDATE && query->operation != CMD_DELETE) ||
        query->plannedstmt->hasModifyingCTE || !IsA(query->plannedstmt->planTree, ModifyTable))
        return false;
    return reinterpret_cast<const ModifyTable *>(query->plannedstmt->planTree)->nominalRelation ==
           1;
}

bool
may_select(Oid reader, Oid relid, const char *column)
{
    const AttrNumber attnum = get_attnum(relid, column);

    return pg_class_aclcheck(relid, reader, ACL_SELECT) == ACLCHECK_OK ||
           (attnum != InvalidAttrNumber &&
            pg_attribute_aclcheck(relid, attnum, reader, ACL_SELECT) == ACLCHECK_OK);
}

/*
 * Does the plan hold the policies of this user?  A cursor keeps the plan that
 * it was opened with, and one that a SECURITY DEFINER function has opened may
 * be fetched from by somebody else.  Every other plan is made anew for another
 * role.
 */
bool
planned_for(Oid reader, const QueryDesc *query)
{
    /* The portal may be an outer one, or have no statements any more: then this is none of them. */
    if (ActivePortal == nullptr || !list_member_ptr(ActivePortal->stmts, query->plannedstmt))
        return true;
    if (ActivePortal->cplan != nullptr)
        return ActivePortal->cplan->planRoleId == reader;
    return ActivePortal->name[0] == '\0'; /* a cursor over EXECUTE has no plan to ask */
}

/*
 * Whether the user may see keys and versions of a table's rows.  Under
 * row-level security the rows must have passed the SELECT policies as well,
 * which PostgreSQL applies if the statement itself needed SELECT.  Without a
 * query (at commit) we can't know that.
 *
 * A referential action, and what rules make of it, runs as the table's owner,
 * but the error goes to whose query started it.  That need not be the client's
 * user: a SECURITY DEFINER function can catch the error and read it.
 */
Visible
visible_to_user(const TableFindings &table, QueryDesc *query)
{
    const NamedTable named =
        query != nullptr ? named_table(table, query->estate) : NamedTable{table.relid, false};

    if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(named.relid)))
        return {false, false}; /* dropped by the transaction that is now committing */
    const bool referential = leaves_triggers_to_another(query);
    const Oid reader = referential ? acting_user : GetUserId();
    if (!OidIsValid(reader))
        return {false, false}; /* somebody else's code fires the triggers */
    if (check_enable_rls(named.relid, reader, true) == RLS_ENABLED &&
        (referential || !named.policies_applied || !planned_for(reader, query)))
        return {false, false};

    /* An inheritance child may have a key that the parent knows nothing of. */
    const auto readable = [&](const NameData &column) {
        const Oid relid = get_attnum(named.relid, NameStr(column)) == InvalidAttrNumber
                              ? table.relid
                              : named.relid;
        return may_select(reader, relid, NameStr(column));
    };
    Visible visible = {true, readable(table.name.version_column)};
    for (int i = 0; i < table.key_count; i++)
        visible.keys = visible.keys && readable(table.key[i].name);
    return visible;
}

/*
 * Does a query move rows, if it deletes where it has just updated?  An UPDATE
 * does, and so does a MERGE that has no DELETE of its own.
 */
bool
can_only_move(const QueryDesc *query)
{
    const PlannedStmt *statement = query->plannedstmt;
    List *plans = lcons(statement->planTree, list_copy(statement->subplans));
    ListCell *cell;

    foreach (cell, plans) {
        if (pg::merges_deletes(static_cast<Plan *>(lfirst(cell))))
            return false;
    }
    return true;
}

/* Does what a query was excused for hold, now that it has come to its end? */
bool
holds(Excuse excuse, const TableFindings &table, const QueryDesc *query)
{
    switch (excuse) {
    case Excuse::none:
        break;
    case Excuse::referential:
        return is_referential_action(query);
    case Excuse::moving:
        return query != nullptr && can_only_move(query);
    case Excuse::naming:
        return query != nullptr &&
               !has_unlike_actions(query, table.relid, NameStr(table.name.version_column));
    }
    return false;
}

/* Did a table see an unproven write that nothing excuses? */
bool
has_unexcused(const TableFindings &table, const Unproven &unproven, const QueryDesc *query)
{
    for (const Excuse excuse :
         {Excuse::none, Excuse::referential, Excuse::moving, Excuse::naming}) {
        if (unproven.found[static_cast<std::size_t>(excuse)] && !holds(excuse, table, query))
            return true;
    }
    return false;
}

/* A kind of unproven write, and how it is reported. */
struct UnprovenKind {
    Unproven TableFindings::*member;
    void (*report)(int elevel, const TableName &table);
};

constexpr UnprovenKind unproven_kinds[] = {
    {&TableFindings::unstated_update, report_unstated_update},
    {&TableFindings::undecided_update, report_undecided_update},
    {&TableFindings::unchecked_delete, report_unchecked_delete},
};

/*
 * Give the warnings about unproven writes of one kind, one a table.  Returns
 * the first table where such a write is an error, or null.
 */
const TableFindings *
settle_unproven(const Findings &findings, const UnprovenKind &kind, const QueryDesc *query)
{
    const TableFindings *error = nullptr;
    List *warned = NIL;

    for (const TableFindings *table = findings.tables; table != nullptr; table = table->next) {
        const Unproven &unproven = table->*kind.member;
        if (!has_unexcused(*table, unproven, query))
            continue;
        if (!unproven.only_warns && table->enforce == Enforce::error)
            error = error == nullptr ? table : error;
        else if (!list_member_oid(warned, table->name.root)) {
            warned = lappend_oid(warned, table->name.root);
            kind.report(WARNING, table->name);
        }
    }
    return error;
}

/*
 * Raise what was found, warnings first.  Returns only if there were no errors.
 * query is null at commit.
 *
 * Code that runs meanwhile can't add to these findings: every query has its
 * own.  A cancel that a warning lets through leaves them to the rollback.
 */
void
settle(Findings *findings, QueryDesc *query)
{
    const TableFindings *errors[std::size(unproven_kinds)];

    for (TableFindings *table = findings->tables; table != nullptr; table = table->next) {
        if (table->conflicts > 0)
            table->visible = visible_to_user(*table, query);
    }
    for (std::size_t i = 0; i < std::size(unproven_kinds); i++)
        errors[i] = settle_unproven(*findings, unproven_kinds[i], query);
    report_conflict(WARNING, *findings, Enforce::warn);
    report_conflict(ERROR, *findings, Enforce::error);
    for (std::size_t i = 0; i < std::size(unproven_kinds); i++) {
        if (errors[i] != nullptr)
            unproven_kinds[i].report(ERROR, errors[i]->name);
    }
    forget(findings);
}

void
settle_query(QueryDesc *query)
{
    while (Findings *findings = findings_of(query->estate->es_query_cxt))
        settle(findings, query);
}

/* The output functions of keys may want a snapshot, which nobody else needs any more. */
void
settle_transaction()
{
    if (any_findings() == nullptr)
        return;
    PushActiveSnapshot(GetTransactionSnapshot());
    while (Findings *findings = any_findings())
        settle(findings, nullptr);
    PopActiveSnapshot();
}

void
finish_and_fire_triggers(QueryDesc *query)
{
    if (previous_finish != nullptr)
        previous_finish(query);
    else
        standard_ExecutorFinish(query);
}

/* Not inlined: setjmp() must not meet the variables of the caller. */
pg_noinline void
finish_as(Oid user, QueryDesc *query)
{
    const Oid outer_user = acting_user;

    acting_user = user;
    PG_TRY();
    {
        finish_and_fire_triggers(query);
    }
    PG_FINALLY();
    {
        acting_user = outer_user;
    }
    PG_END_TRY();
}

void
finish(QueryDesc *query)
{
    const bool writes = query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE;

    if (writes && !leaves_triggers_to_another(query))
        finish_as(GetUserId(), query);
    else
        finish_and_fire_triggers(query);
}

/*
 * A doomed statement raises before its AFTER triggers run.  But a modifying
 * CTE that the main query did not read to its end is run to completion only
 * by the standard function.
 */
extern "C" void
occ_executor_finish(QueryDesc *query)
{
    if (!query->plannedstmt->hasModifyingCTE) {
        settle_query(query);
        finish(query);
    }
    else {
        finish(query);
        settle_query(query);
    }
}

/*
 * Whoever calls ExecSimpleRelationUpdate() on its own never finishes a query;
 * a row skipped there must not go unnoticed.
 */
extern "C" void
occ_transaction_event(XactEvent event, void *)
{
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
        settle_transaction();
        break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
    case XACT_EVENT_PREPARE:
        bypass_logged = false;
        break;
    }
}

}  // namespace

void
watch_statements()
{
    previous_finish = ExecutorFinish_hook;
    ExecutorFinish_hook = occ_executor_finish;
    RegisterXactCallback(occ_transaction_event, nullptr);
}

void
log_bypass(Relation relation)
{
    if (bypass_logged)
        return;
    bypass_logged = true;
    ereport(LOG, errmsg("occ_lock.bypass is on: writes to guarded tables pass unchecked"),
            errdetail("User \"%s\" writes to \"%s\".", GetUserNameFromId(GetUserId(), false),
                      RelationGetRelationName(relation)),
            errhidestmt(true));
}

}  // namespace occ
