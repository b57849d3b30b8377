/*
 * SQL values as JSON that reads back as the same values: what occ.snapshot()
 * makes of a row.
 *
 * Where to_jsonb() is exact, also for those who read its numbers as doubles,
 * the JSON is that of to_jsonb(); else it is a string, the type's own text.  Two
 * kinds of columns need a word more, a mark, since every JSON value means
 * something there: json and jsonb, for which null is SQL NULL and the text of a
 * json gets lost; and types with a cast of their own to json, which to_jsonb()
 * uses, and whose result might be taken for the type's text.  Marks stand beside
 * the columns, in a member whose name no column can have.
 */
#ifndef OCC_EXACT_JSON_HPP
#define OCC_EXACT_JSON_HPP

#include "pg.hpp"

namespace occ {

/* The name of the member that holds the marks: {"": {"doc": "null", "place": true}} */
inline constexpr const char *marks_name = "";

/* Writes values of one type. */
struct ExactWriter;

/* The writer of a type, in the current memory context, which must outlive it. */
ExactWriter *make_exact_writer(Oid type);

/* That of the row type of records that come one by one, whichever they have. */
ExactWriter *make_record_writer();

/* A value as a member of a row. */
struct ExactMember {
    JsonbValue value;
    JsonbValue mark; /* true: the text stands for the value; a string: the value's text; or null */
};

/*
 * In the current memory context.  Looks nothing up, unless a composite type has
 * changed.  Errors: those of output functions; 54000 (larger than jsonb holds).
 */
ExactMember write_exactly(ExactWriter *writer, Datum value);

/* A row as an object of its columns, with the marks they need. */
Jsonb *write_row(ExactWriter *writer, HeapTupleHeader row);

/* Put the marks, an object, into a row that is being made, if there are any. */
void push_marks(JsonbParseState **row, JsonbValue *marks);

/* May a mark of such a column be its value's text? */
bool takes_text_marks(Oid type);

/* May a value of that type need a mark? */
bool may_need_marks(Oid type);

/* A name as a member's key. */
JsonbValue json_name(std::string_view name);

/* A jsonb as a value in another one. */
JsonbValue value_of_jsonb(Jsonb *json);

}  // namespace occ

#endif
