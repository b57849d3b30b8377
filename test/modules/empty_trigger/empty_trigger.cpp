/*
 * For benchmarks: what PostgreSQL itself spends on a BEFORE ROW trigger, however little the trigger
 * does.
 */
extern "C" {
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(empty_trigger);
}

/* empty_trigger() RETURNS trigger: passes every row of an UPDATE as it is. */
Datum
empty_trigger(PG_FUNCTION_ARGS)
{
    return PointerGetDatum(reinterpret_cast<TriggerData *>(fcinfo->context)->tg_newtuple);
}
