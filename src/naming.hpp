/*
 * Whether the action that updates a row names the version column.
 *
 * A trigger sees the columns that a statement sets, all of its actions taken
 * together: a MERGE has several, and only one of them may name the version; a
 * SET list may name it and give DEFAULT, which says nothing of what was read.
 * Such a statement is marked when it is planned: each of its SET lists computes
 * the version by occ.next_version(), whose last argument is there if the list
 * says what was read.  Each call notes which, right before the row's trigger is
 * fired.  What was planned before the library came is not marked.
 */
#ifndef OCC_NAMING_HPP
#define OCC_NAMING_HPP

#include "pg.hpp"

namespace occ {

struct WatchedQuery;

/* Of the statement that writes a table in a running query. */
struct NamingMark {
    NamingMark *next;
    Oid relid;         /* the table that the statement names */
    bool is_ambiguous; /* the query writes it in several places */
    bool names;        /* the list that has computed a version last */
};

/* The mark of the statement that writes a table, made if there is none yet. */
NamingMark *naming_mark(WatchedQuery *watched, Oid relid);

/* What can be known of the rows of one table that one statement updates. */
struct Naming {
    const NamingMark *mark; /* says of each row whether its version is named; or null */
    bool is_undecided;      /* it may not be, though the statement sets it, until the query's end */
};

/* For the table that a trigger has fired on, whose version column is given. */
Naming naming_of(const TriggerData *trigger, AttrNumber version);

/* Does a query update a table by actions of which some name the column and some don't? */
bool has_unlike_actions(const QueryDesc *query, Oid relid, const char *column);

}  // namespace occ

#endif
