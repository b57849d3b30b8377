/* SQL values as JSON text, for the DETAIL of a conflict and for results. */
#ifndef OCC_JSON_HPP
#define OCC_JSON_HPP

#include "pg.hpp"

namespace occ {

/* A value, and how JSON would write it; a string without its quotes. */
struct JsonScalar {
    enum class Kind : std::uint8_t { null, boolean, number, string, json };

    Kind kind;
    const char *text;
};

/*
 * A value as JSON.  A number that JavaScript would round (an integer beyond
 * 2^53, more than 15 significant digits) becomes a string; times are ISO 8601
 * as in to_jsonb(), with all their microseconds; jsonb is what it is.  All else
 * is text that every session reads back as the same value, arrays and composite
 * values, too.
 */
JsonScalar json_scalar(Datum value, Oid type, bool isnull);

/* Append a value as JSON. */
void append_json(StringInfo json, Datum value, Oid type, bool isnull);

/* Append a member of an object, with the comma or brace before it. */
void append_json_member(StringInfo json, bool is_first, const char *name, Datum value, Oid type,
                        bool isnull);

/* A value as a string of its own. */
char *json_of(Datum value, Oid type, bool isnull);

/* The same as part of a jsonb. */
JsonbValue jsonb_of(Datum value, Oid type);

/* Are two values equal as jsonb has it?  1.0 is 1. */
bool same_json(JsonbValue *a, JsonbValue *b);

}  // namespace occ

#endif
