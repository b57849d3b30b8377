/*
 * The SQL that occ_lock runs on the users' tables: prepared once a session, and
 * fed with rows by name, as a trigger's transition tables are.
 *
 * Plans are found by their text, in which every name is qualified, so that a
 * renamed or re-made table has another plan or has PostgreSQL analyze this one
 * again; all other changes PostgreSQL's plan cache sees by itself.
 */
#ifndef OCC_PREPARED_QUERY_HPP
#define OCC_PREPARED_QUERY_HPP

#include "checked_query.hpp"
#include "pg.hpp"

namespace occ {

/* Rows that a query can name in FROM. */
struct NamedRows {
    const char *name;
    TupleDesc descriptor;
    Tuplestorestate *rows;
    double estimate; /* how many, for the planner, whatever their number is now */
};

/* Parameters of a query. */
struct QueryParameters {
    int count = 0;
    Oid types[INDEX_MAX_KEYS] = {};
    Datum values[INDEX_MAX_KEYS] = {};
};

/*
 * Takes the rows that a query returns; must copy what it keeps.  on_end, which
 * may be null, is called after the last one, before any AFTER trigger fires.
 * What that one raises is no error of the query, and is not said to be one.
 */
struct RowReceiver {
    DestReceiver destination; /* must come first */
    Relation table;           /* what the query looks up, or null */
    List *types;              /* of the columns that it must return then */
    CheckedMark mark;
    TupleDesc descriptor; /* of the result; that of a row's slot may have other names */
    void (*on_row)(void *receiver, TupleTableSlot *slot);
    void (*on_end)(void *receiver);
    void *receiver;
    ErrorContextCallback *outer_context;
};

void init_receiver(RowReceiver *receiver, const CheckedMark &mark,
                   void (*on_row)(void *receiver, TupleTableSlot *slot), void *argument,
                   void (*on_end)(void *receiver) = nullptr);

/*
 * Raise 55006 if the query's columns turn out to be of other types than those:
 * its text names them, and code of the user's that ran since the table was
 * opened may have renamed them, which a lock does not keep its own session from.
 */
void expect_types(RowReceiver *receiver, Relation table, List *types);

/* The order in which a query goes through the rows of its table. */
enum class RowOrder : std::uint8_t {
    any,
    of_input, /* it takes a row of the first input, looks up the table's, then takes the next */
};

/*
 * Run one query with the rights of the current user and hand each row that it
 * returns to the receiver.  It runs on a new snapshot, as a statement of its
 * own would.  Returns false, without running it, if its plan has another order
 * than is wanted.
 */
bool run_prepared(const char *text, std::span<const NamedRows> inputs,
                  const QueryParameters &parameters, RowReceiver *receiver,
                  RowOrder order = RowOrder::any);

}  // namespace occ

#endif
