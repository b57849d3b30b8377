/*
 * The rows that a set function was called for, and the three steps that all
 * set functions share: read them from JSON, lock and verify them in the order
 * of their keys, write them.
 *
 * Between the steps nothing can change: what is written has been locked
 * before, so the check and the write are one.
 */
#ifndef OCC_BATCH_HPP
#define OCC_BATCH_HPP

#include "json_input.hpp"
#include "pg.hpp"
#include "row_status.hpp"
#include "target.hpp"

namespace occ {

/* A column that is compared with what the caller has read: the version, or a lock field. */
struct ComparedColumn {
    Form_pg_attribute column;
    FmgrInfo *equals; /* null for the version, which has its own arithmetic */
};

/* A column that an element gives a value for, other than its key and what is compared. */
struct GivenColumn {
    Form_pg_attribute column;
    int frozen;       /* for one that can't be set: its place in Batch::frozen; else -1 */
    FmgrInfo *equals; /* for such a one, or null if its type has none */
};

/* A set of given columns.  Elements that give the same ones share it, and are written together. */
struct Shape {
    Shape *next;
    Shape *next_of_hash;
    int given_count;
    GivenColumn *given;
    struct BatchRow *rows; /* in the order of their keys */
    struct BatchRow **rows_end;
};

struct BatchRow {
    BatchRow *next_of_shape;
    Shape *shape;
    const Value *key;      /* Target::key_count of them */
    const Value *expected; /* Batch::compared_count: what the caller has read */
    const Value *given;    /* Shape::given_count */
    const Value *actual;   /* as expected, of a stale row, unless it is too large to be listed */
    const Value *now_key;  /* what the key has become, with Batch::rereads */
    Value version;         /* now stored; NULL without a guard, or if the row is gone */
    Oid table;             /* where the locked row is, with Batch::by_tid */
    ItemPointerData tid;
    RowStatus status;
    bool to_write;
    bool was_reread;
};

/* What a set function does with rows that are in conflict. */
enum class OnConflict : std::uint8_t { error, skip };

struct Batch {
    MemoryContext context; /* everything here lives in it, but for the target's relation */
    Target target;
    const char *argument; /* the name of the one that holds the elements, for messages */

    int compared_count;
    ComparedColumn *compared;
    bool by_lock_fields; /* that is what is compared; else the version */
    bool takes_values;   /* elements may give columns to set */

    std::uint64_t count;
    BatchRow *rows;   /* in the order of the input */
    BatchRow **order; /* in that of their keys */
    Shape *shapes;
    Shape **shapes_end;
    HTAB *shapes_by_hash;
    List *frozen;           /* columns that may be given but not set, by attnum */
    const Value *all_given; /* one change for all rows: what their one shape gives; else null */
    Value *scratch;         /* what a locked row has */
    bool by_tid;            /* a row that is locked can be found by its place */
    bool rereads;           /* triggers may write to a row after it was returned */
};

/* The place of a row in the input, from 1, for messages. */
inline std::uint64_t
element_number(const Batch &batch, const BatchRow &row)
{
    return static_cast<std::uint64_t>(&row - batch.rows) + 1;
}

/*
 * The function behind the = of a column's type, or null if it has none.  A copy
 * in the current memory context: a function in SQL keeps its state in there
 * while it runs, and may lead to a set function that compares the same type.
 */
FmgrInfo *equality_of(Form_pg_attribute column);

/* The row locks that a set function can take, by their names in SQL. */
enum class RowLock : std::uint8_t { update, no_key_update, share };

template <>
inline constexpr std::array<std::string_view, 3> names_of<RowLock> = {"update", "no key update",
                                                                      "share"};
template <>
inline constexpr std::array<std::string_view, 2> names_of<OnConflict> = {"error", "skip"};

/* How verified rows are written. */
enum class Operation : std::uint8_t { update, touch, remove };

/* The status of a row that was written. */
constexpr RowStatus
done_by(Operation operation)
{
    return operation == Operation::remove ? RowStatus::deleted : RowStatus::updated;
}

/*
 * Begin a batch: open its table, and compare the version, or the columns of
 * lock_fields (name[], or null).  Errors: those of open_target(); 42703, 22004,
 * 22023, 42701, 42883 for lock_fields.
 */
Batch *begin_batch(FunctionCallInfo fcinfo, const char *argument, LOCKMODE lockmode,
                   ArrayType *lock_fields);

/* Close the table, which stays locked, and free the memory. */
void end_batch(Batch *batch);

/*
 * Read the elements of a JSON array, or one object, and put them in the order
 * of their keys.  Errors: 22023 (another kind of JSON, an element without key
 * or version), 42703, 22004 (null key), 21000 (a key twice), and what the
 * columns' types say of a value, with element and column in the context.
 */
void read_rows(Batch *batch, Jsonb *elements);

/* Read one change for all rows, instead of one in each.  Comes before read_rows(). */
void read_changes(Batch *batch, Jsonb *changes);

/*
 * The shape with these columns; guess, which may be null, is tried first.  The
 * members of JSON objects come in an order of their names, so that equal sets
 * of columns are equal lists.
 */
Shape *shape_of(Batch *batch, const GivenColumn *given, int count, Shape *guess);

/*
 * Put Batch::order in the order of the keys, which is the same for all
 * sessions.  Error: 21000 (a key twice: it is found beside itself).
 */
void sort_rows(Batch *batch);

/*
 * Lock all rows that are there, in the order of their keys, and find out which
 * are as expected: those have to_write set, and status checked.  Errors: 21000
 * (several rows of one key), 428C9 (a generated column is to change).
 */
void lock_rows(Batch *batch, RowLock lock);

/*
 * Find out what has become of rows that were not as expected when they were to
 * be written at once: stale, or missing.  Locks nothing: the rows with higher
 * keys are locked already.  Error: 21000.
 */
void find_conflicts(Batch *batch);

/* Raise 21000: the key of that element is the key of several rows. */
[[noreturn]] void raise_ambiguous(const Batch &batch, const BatchRow &row);

/* The lock that setting what is given, and the version, needs from the start. */
RowLock lock_for_update(const Batch &batch);

/*
 * Report the rows in conflict as one error, unless they are to be skipped.
 * Where the table's guard only warns, it is a warning, and stale rows are
 * written all the same (if the function writes).
 */
void refuse_conflicts(Batch *batch, OnConflict on_conflict, bool writes);

/*
 * Write the rows that are to be written, and set their status and version.
 * Returns false if row-level security has kept some from being deleted, which
 * are missing then.
 */
bool write_rows(Batch *batch, Operation operation);

/*
 * The second and the third step in one, where that comes to the same and costs
 * less: an UPDATE that locks, compares and writes one row after the other, in
 * the order of their keys.  Returns false, and has done nothing, if they are to
 * be taken one by one.  Reports rows in conflict.
 */
bool write_at_once(Batch *batch, OnConflict on_conflict, Operation operation);

/* May something write to a row once more after it was returned, and does its version count? */
bool may_be_written_again(const Target &target);

/*
 * Read the versions of written rows again where triggers may have moved them,
 * and those of rows that a trigger has kept from being written.
 */
void read_versions(Batch *batch, Operation operation);

/* Take the version that a query returns as its second column. */
void take_version(const Batch &batch, BatchRow *row, TupleTableSlot *slot);

/*
 * End the batch and return its rows, in the order of the input, as the
 * function's result: (key jsonb, status text, version text).
 */
Datum return_rows(FunctionCallInfo fcinfo, Batch *batch);

/* The arguments on_conflict and lock; null stands for the default.  Error: 22023. */
OnConflict on_conflict_argument(FunctionCallInfo fcinfo, int argument);
RowLock row_lock_argument(FunctionCallInfo fcinfo, int argument);

/* A JSON argument; null is an error (22004). */
Jsonb *json_argument(FunctionCallInfo fcinfo, int argument, const char *name);

}  // namespace occ

#endif
