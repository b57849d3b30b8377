/*
 * The only place that includes PostgreSQL's headers, and where the differences
 * between its major versions (14 to 18) are bridged.
 *
 * A PostgreSQL error is a longjmp and skips destructors: only trivially
 * destructible objects may live across a call that can raise one.
 */
#ifndef OCC_PG_HPP
#define OCC_PG_HPP

/* The standard headers come first: postgres.h redefines names such as printf. */
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "common/cryptohash.h"
#include "common/hashfn.h"
#include "common/int.h"
#if PG_VERSION_NUM >= 150000
#include "common/pg_prng.h"
#endif
#include "common/sha2.h"
#include "common/shortest_dec.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_coerce.h"
#include "parser/parse_func.h"
#include "parser/parse_param.h"
#include "parser/parsetree.h"
#include "port/pg_bitutils.h"
#include "rewrite/prs2lock.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "tcop/deparse_utility.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/sortsupport.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#if PG_VERSION_NUM >= 160000
#include "parser/parse_relation.h"
#endif
}

#if PG_VERSION_NUM < 140000
#error "occ_lock needs PostgreSQL 14 or later"
#endif

namespace occ::pg {

/* 16 replaced the per-class functions by object_ownercheck() (afbfc02983). */
inline bool
owns_relation(Oid relid)
{
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relid, GetUserId());
#else
    return pg_class_ownercheck(relid, GetUserId());
#endif
}

/* 16 replaced the per-class functions by object_aclcheck() (c727f511bd). */
inline AclResult
schema_usage(Oid schema)
{
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE);
#else
    return pg_namespace_aclcheck(schema, GetUserId(), ACL_USAGE);
#endif
}

/* The permissions that a statement needed on one table of its range table. */
struct NeededPermissions {
    AclMode mode;
    Oid check_as_user; /* InvalidOid: the current user */
};

/* 16 moved them from the range table entry to RTEPermissionInfo (a61b1f7482). */
inline NeededPermissions
needed_permissions(EState *estate, Index range_table_index)
{
    RangeTblEntry *entry = exec_rt_fetch(range_table_index, estate);
#if PG_VERSION_NUM >= 160000
    if (entry->perminfoindex == 0)
        return {0, InvalidOid};
    const RTEPermissionInfo *info = getRTEPermissionInfo(estate->es_rteperminfos, entry);
    return {info->requiredPerms, info->checkAsUser};
#else
    return {entry->requiredPerms, entry->checkAsUser};
#endif
}

/* The columns that an UPDATE sets, offset by FirstLowInvalidHeapAttributeNumber. */
inline const Bitmapset *
columns_set([[maybe_unused]] const Query *query, RangeTblEntry *entry)
{
#if PG_VERSION_NUM >= 160000
    if (entry->perminfoindex == 0)
        return nullptr;
    return getRTEPermissionInfo(query->rteperminfos, entry)->updatedCols;
#else
    return entry->updatedCols;
#endif
}

/* May a role execute a function?  16 replaced the per-class functions (c727f511bd). */
inline bool
may_execute(Oid function, Oid role)
{
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(ProcedureRelationId, function, role, ACL_EXECUTE) == ACLCHECK_OK;
#else
    return pg_proc_aclcheck(function, role, ACL_EXECUTE) == ACLCHECK_OK;
#endif
}

/* Is a statement a MERGE?  15 brought it (7103ebb7aa). */
template <class Statement>
inline bool
is_merge([[maybe_unused]] const Statement *statement)
{
#if PG_VERSION_NUM >= 150000
    return statement->commandType == CMD_MERGE;
#else
    return false;
#endif
}

/* The actions of a MERGE, as planned.  15 brought it (7103ebb7aa). */
inline List *
merge_actions([[maybe_unused]] const Query *query)
{
#if PG_VERSION_NUM >= 150000
    return query->mergeActionList;
#else
    return NIL;
#endif
}

/* The actions of a MERGE on its i-th table.  18 leaves out tables that it has pruned (cbc127917e).
 */
inline List *
merge_actions([[maybe_unused]] const ModifyTableState *state, [[maybe_unused]] int i)
{
#if PG_VERSION_NUM >= 180000
    List *lists = state->mt_mergeActionLists;
#elif PG_VERSION_NUM >= 150000
    List *lists = reinterpret_cast<const ModifyTable *>(state->ps.plan)->mergeActionLists;
#else
    List *lists = NIL;
#endif
    return lists == NIL ? NIL : static_cast<List *>(list_nth(lists, i));
}

/* Call action with each action of a list that updates.  15 brought MERGE (7103ebb7aa). */
template <class Action>
inline void
for_each_merge_update([[maybe_unused]] List *actions, [[maybe_unused]] const Action &action)
{
#if PG_VERSION_NUM >= 150000
    ListCell *cell;

    foreach (cell, actions) {
        auto *merge = static_cast<MergeAction *>(lfirst(cell));
        if (merge->commandType == CMD_UPDATE)
            action(merge);
    }
#endif
}

/* Is a plan a MERGE that may delete?  15 brought MERGE (7103ebb7aa). */
inline bool
merges_deletes([[maybe_unused]] const Plan *plan)
{
#if PG_VERSION_NUM >= 150000
    if (plan == nullptr || !IsA(plan, ModifyTable))
        return false;

    const ListCell *relation;
    foreach (relation, reinterpret_cast<const ModifyTable *>(plan)->mergeActionLists) {
        const ListCell *action;
        foreach (action, static_cast<List *>(lfirst(relation))) {
            if (static_cast<MergeAction *>(lfirst(action))->commandType == CMD_DELETE)
                return true;
        }
    }
#endif
    return false;
}

/* Let a parser find out the types of parameters itself: since 15 it has another name. */
inline void
variable_parameters(ParseState *state, Oid **types, int *count)
{
#if PG_VERSION_NUM >= 150000
    setup_parse_variable_parameters(state, types, count);
#else
    parse_variable_parameters(state, types, count);
#endif
}

/* 15 reserves a prefix (88103567cb); 14 only warns about what it finds there. */
inline void
reserve_setting_prefix(const char *prefix)
{
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved(prefix);
#else
    EmitWarningsOnPlaceholders(prefix);
#endif
}

/* A random number from 0 to 1, of the session's own generator: 15 has a new one (3804539e48). */
inline double
random_fraction()
{
#if PG_VERSION_NUM >= 150000
    return pg_prng_double(&pg_global_prng_state);
#else
    return static_cast<double>(random()) / MAX_RANDOM_VALUE;
#endif
}

/* Since 17 an interval may be infinite (519fc1bd9e). */
inline bool
is_finite([[maybe_unused]] const Interval *interval)
{
#ifdef INTERVAL_NOT_FINITE
    return !INTERVAL_NOT_FINITE(interval);
#else
    return true;
#endif
}

/* Prepare to return a set as a tuplestore: 15 made this a function (9e98583898). */
inline ReturnSetInfo *
materialize(FunctionCallInfo fcinfo)
{
    auto *set = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
#if PG_VERSION_NUM >= 150000
    InitMaterializedSRF(fcinfo, 0);
#else
    if (set == nullptr || !IsA(set, ReturnSetInfo) || !(set->allowedModes & SFRM_Materialize))
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("set-valued function called in context that cannot accept a set"));
    MemoryContext old = MemoryContextSwitchTo(set->econtext->ecxt_per_query_memory);
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
        ereport(ERROR, errcode(ERRCODE_DATATYPE_MISMATCH),
                errmsg("return type must be a row type"));
    set->returnMode = SFRM_Materialize;
    set->setResult = tuplestore_begin_heap(true, false, work_mem);
    set->setDesc = descriptor;
    MemoryContextSwitchTo(old);
#endif
    return set;
}

/* Before 16, ADD COLUMN that recurses had a type of its own. */
inline bool
is_add_column(const AlterTableCmd *command)
{
#if PG_VERSION_NUM < 160000
    if (command->subtype == AT_AddColumnRecurse)
        return true;
#endif
    return command->subtype == AT_AddColumn;
}

}  // namespace occ::pg

#endif
