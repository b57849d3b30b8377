/* The library: magic block and start-up. */
#include "pg.hpp"

#include "settings.hpp"
#include "statement.hpp"

extern "C" {
PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);
}

void
_PG_init(void)
{
    occ::settings::define();
    occ::watch_statements();
}
