/* Values that are neither arrays nor composite, as JSON that reads back: see exact_json.hpp. */
#ifndef OCC_EXACT_SCALAR_HPP
#define OCC_EXACT_SCALAR_HPP

#include "exact_json.hpp"
#include "fixed_output.hpp"

namespace occ {

/* How a type's values are written. */
enum class Form : std::uint8_t {
    boolean,
    int2,
    int4,
    int8,
    float4,
    float8,
    numeric,
    date,
    timestamp,
    timestamptz,
    json,
    jsonb,
    xml,
    oid,  /* of what has a name: which name stands for it may depend on the reader */
    cast, /* a type with a cast to json: text, marked as such */
    money,
    text,
    array,
    composite,
};

/* That of a type that is no domain. */
Form form_of(Oid base_type);

/* Is it one of PostgreSQL's types for the OID of something that has a name? */
bool is_named_oid(Oid base_type);

/* A value, by its type's form; as text if it is an array or composite. */
ExactMember write_scalar(Form form, TextOutput *output, Datum value);

JsonbValue null_value();

/*
 * Does a double hold a number so that it prints it again?  JavaScript, and what
 * else parses JSON like it, would round the others, so those are strings.  That
 * of a numeric is asked of its text, and is no for NaN and infinities.
 */
bool fits_double(int64 integer);
bool fits_double(const char *numeric);

}  // namespace occ

#endif
