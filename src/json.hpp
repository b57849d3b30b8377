/* SQL values as JSON text, for the DETAIL of a conflict and for results. */
#ifndef OCC_JSON_HPP
#define OCC_JSON_HPP

#include "pg.hpp"

namespace occ {

/*
 * Append a value as JSON.  A number that JavaScript would round (an integer
 * beyond 2^53, more than 15 significant digits) becomes a string; times are
 * ISO 8601 as in to_jsonb(), with all their microseconds.
 */
void append_json(StringInfo json, Datum value, Oid type, bool isnull);

/* The same as a string of its own. */
char *json_of(Datum value, Oid type, bool isnull);

}  // namespace occ

#endif
