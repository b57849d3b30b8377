/* The library: magic block and start-up. */
#include "pg.hpp"

#include "clock.hpp"
#include "inline_plan.hpp"
#include "settings.hpp"
#include "statement.hpp"
#include "watched_query.hpp"

extern "C" {
#ifdef PG_MODULE_MAGIC_EXT /* since 18: pg_get_loaded_modules() shows name and version */
PG_MODULE_MAGIC_EXT(.name = "occ_lock", .version = OCC_LOCK_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);
}

void
_PG_init(void)
{
    occ::settings::define();
    /* What the session has planned without us has no check in it. */
    if (IsTransactionState())
        ResetPlanCache();
    occ::watch_commits();
    occ::watch_statements();
    occ::inline_guards_into_plans();
    occ::watch_queries();
}
