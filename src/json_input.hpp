/*
 * JSON values as values of a table's columns, by the rules of
 * jsonb_populate_record(): what to_jsonb() made of a row reads back as the
 * same row, with the exceptions that occ.snapshot() is for.  JSON null is SQL
 * NULL, for json and jsonb columns too.
 */
#ifndef OCC_JSON_INPUT_HPP
#define OCC_JSON_INPUT_HPP

#include "exact_json.hpp"
#include "json_cast.hpp"
#include "pg.hpp"

namespace occ {

/* A value that may be NULL. */
struct Value {
    Datum datum;
    bool isnull;
};

/* A copy of a column's value, detoasted, in the current memory context. */
inline Value
copy_value(Form_pg_attribute column, Datum datum, bool isnull)
{
    if (isnull)
        return {Datum{0}, true};
    if (column->attlen == -1)
        return {PointerGetDatum(PG_DETOAST_DATUM_COPY(datum)), false};
    return {datumCopy(datum, column->attbyval, column->attlen), false};
}

/* Reads values of one column. */
struct ColumnReader {
    Form_pg_attribute column; /* belongs to an open relation */
    bool is_domain;
    bool is_composite;
    FmgrInfo input;
    Oid io_parameter;
    FunctionCallInfo populate; /* for arrays, composites and JSON; else null */
    JsonCasts *casts;          /* these two are for read_member() only */
    ExactWriter *exact;        /* if a mark may be text */
};

/* The reader of a column, in the current memory context, which must outlive it. */
ColumnReader *make_reader(Form_pg_attribute column);

/*
 * The column's value of a JSON number, if that is known without the number's
 * text: most keys and versions are integers of modest size.  A numeric points
 * into the JSON.
 */
std::optional<Datum> read_number(const ColumnReader &reader, const JsonbValue &value);

/*
 * The column's value of any JSON value.  Leaves garbage in the current memory
 * context.  Errors: those of the type's input function, and of its domain's
 * constraints; 22023 (no object for a composite type).
 */
Value read_value(const ColumnReader &reader, JsonbValue *value);

/* A reader of what rows have in a column, likewise. */
ColumnReader *make_member_reader(Form_pg_attribute column);

/*
 * The column's value of a member of a row, which occ.snapshot() may have marked
 * (see exact_json.hpp); mark may be null.  The text in a mark is what counts as
 * long as the member is what it was beside it: else somebody has changed that.
 * Errors: those of read_value(); 22023 (to_jsonb() may have changed the value).
 */
Value read_member(const ColumnReader &reader, JsonbValue *member, const JsonbValue *mark);

}  // namespace occ

#endif
