/*
 * For tests: updates rows as third-party code does that calls
 * ExecSimpleRelationUpdate() outside of any query, so that no executor hook
 * ever runs.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(unfinished_update);

/*
 * unfinished_update(relation regclass, column int, value bigint) RETURNS int
 *
 * Sets one bigint column in all rows of the table.  Returns the number of rows
 * that it tried to update.
 */
Datum
unfinished_update(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), RowExclusiveLock);
	int			column = PG_GETARG_INT32(1) - 1;
	Datum		value = PG_GETARG_DATUM(2);
	int			count = 0;
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *info = makeNode(ResultRelInfo);
	EPQState	epqstate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	TupleTableSlot *found = table_slot_create(rel, &estate->es_tupleTable);
	TupleTableSlot *changed = table_slot_create(rel, &estate->es_tupleTable);
	TableScanDesc scan;

	estate->es_snapshot = GetActiveSnapshot();
	estate->es_output_cid = GetCurrentCommandId(true);
	InitResultRelInfo(info, rel, 0, NULL, 0);
	ExecOpenIndices(info, false);
#if PG_VERSION_NUM >= 160000
	EvalPlanQualInit(&epqstate, estate, NULL, NIL, -1, NIL);
#else
	EvalPlanQualInit(&epqstate, estate, NULL, NIL, -1);
#endif

	scan = table_beginscan(rel, estate->es_snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, found))
	{
		slot_getallattrs(found);
		ExecClearTuple(changed);
		memcpy(changed->tts_values, found->tts_values, sizeof(Datum) * rel->rd_att->natts);
		memcpy(changed->tts_isnull, found->tts_isnull, sizeof(bool) * rel->rd_att->natts);
		changed->tts_values[column] = value;
		changed->tts_isnull[column] = false;
		ExecStoreVirtualTuple(changed);
		ExecSimpleRelationUpdate(info, estate, &epqstate, found, changed);
		count++;
	}
	table_endscan(scan);

	EvalPlanQualEnd(&epqstate);
	ExecCloseIndices(info);
	MemoryContextSwitchTo(old);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	table_close(rel, NoLock);
	PG_RETURN_INT32(count);
}
