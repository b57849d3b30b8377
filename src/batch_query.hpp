/*
 * What the queries of a batch have in common: the rows of the batch as a
 * relation that SQL can name, and the condition that finds them by key.
 *
 * Every name and operator is qualified: nothing in these texts depends on the
 * caller's search_path.
 */
#ifndef OCC_BATCH_QUERY_HPP
#define OCC_BATCH_QUERY_HPP

#include "batch.hpp"
#include "prepared_query.hpp"

namespace occ {

/*
 * How many rows the planner is told of.  The plan is kept for batches of any
 * size.  For few rows it looks each one up in the key's index, and that is
 * linear for many as well; told of many it might read the whole table, for a
 * batch of one row, too.  Told of one, it does not even for a table of a few
 * pages, and keeps their order.
 */
constexpr double planned_rows = 10;
constexpr double planned_in_order = 1;

/*
 * The rows of a batch, named occ_rows: a number, the key as k1, k2, ..., then
 * what the query adds.
 */
class RowsRelation {
public:
    /* added: how many columns the query adds. */
    RowsRelation(const Batch &batch, int added);

    /* Describe the next added column; all of them before the first row. */
    void describe_column(const char *name, Oid type, int32 typmod, Oid collation);

    /* Add a row; its number comes back with what the query returns. */
    void add_row(std::uint64_t number, const Value *key, const Value *added);

    /* What run_prepared() takes. */
    NamedRows named(double estimate = planned_rows) const;

    void end() { tuplestore_end(rows); }

private:
    int key_count;
    int described;
    TupleDesc descriptor;
    Tuplestorestate *rows = nullptr;
    Datum *values;
    bool *nulls;
};

/* Append what a query returns: one expression after another, and their types. */
void append_result(StringInfo sql, List **types, const char *expression, Oid type);

/* The same for a column of the table, which the query knows as t. */
void append_result(StringInfo sql, List **types, Form_pg_attribute column);

/* "schema.table AS t" is found by these: append "t.id = i.k1 AND ...". */
void append_key_condition(StringInfo sql, const Batch &batch);

/* How a row that is to be written is found. */
enum class Find : std::uint8_t {
    by_key,     /* it is locked */
    by_version, /* by its key, if it has the version that was read; it is not locked yet */
    by_place,   /* where it was locked */
    by_move,    /* by its key, but no longer there: a trigger of ours has written to it */
};

/* Do the rows have the place where they were locked, as table_oid and tid? */
constexpr bool
has_place(Find find)
{
    return find == Find::by_place || find == Find::by_move;
}

/* The same for rows that are to be written. */
void append_row_condition(StringInfo sql, const Batch &batch, Find find);

/*
 * The parameters of that condition.  There are some for foreign tables only:
 * the keys once more as arrays, which the other server can look up.  next()
 * returns one key after the other, then null.
 */
template <class Next>
QueryParameters key_parameters(const Batch &batch, std::uint64_t count, const Next &next);

/* The type of the array that holds the keys' values of one column, if they are passed so. */
Oid key_array_type(const Batch &batch, const KeyPart &part);

/* "schema.table", or "ONLY schema.table" */
char *table_in_sql(const Batch &batch);

const char *column_in_sql(Form_pg_attribute column);

template <class Next>
QueryParameters
key_parameters(const Batch &batch, std::uint64_t count, const Next &next)
{
    QueryParameters parameters;
    Datum *columns[INDEX_MAX_KEYS];
    const Target &target = batch.target;
    std::uint64_t filled = 0;

    if (!target.has_foreign_tables)
        return parameters;
    for (int i = 0; i < target.key_count; i++)
        columns[i] = static_cast<Datum *>(
            MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) * (count + 1)));
    while (const Value *key = next()) {
        for (int i = 0; i < target.key_count; i++)
            columns[i][filled] = key[i].datum;
        filled++;
    }
    for (int i = 0; i < target.key_count; i++) {
        const KeyPart &part = target.key[i];
        const Oid type = key_array_type(batch, part);
        if (!OidIsValid(type))
            continue;
        parameters.types[parameters.count] = type;
        parameters.values[parameters.count++] = PointerGetDatum(
            construct_array(columns[i], static_cast<int>(filled), get_element_type(type),
                            part.column->attlen, part.column->attbyval, part.column->attalign));
    }
    return parameters;
}

}  // namespace occ

#endif
