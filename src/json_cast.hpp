/*
 * Types that have a cast of their own to json.  to_jsonb() uses it, and such a
 * cast need not keep all of a value, nor need the type's input function know
 * what it makes: PostGIS cuts coordinates.
 */
#ifndef OCC_JSON_CAST_HPP
#define OCC_JSON_CAST_HPP

#include "pg.hpp"

namespace occ {

/* The function of the cast that to_jsonb() uses for a type, or InvalidOid. */
Oid json_cast_of(Oid base_type);

/* Where such types are in a type: itself, its elements or its fields, and theirs. */
struct JsonCasts;

/* Null if there are none.  In the current memory context, which must outlive it. */
JsonCasts *find_json_casts(Oid type);

/*
 * Raise 22023 if what a value has for such types may be what to_jsonb() made of
 * them: anything but a string, and strings, too, if the cast makes strings and
 * nobody vouches for them.  The column is named in the error.
 */
void refuse_cast_values(JsonCasts *casts, JsonbValue *value, bool is_vouched_for,
                        Form_pg_attribute column);

}  // namespace occ

#endif
