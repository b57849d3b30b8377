/* The SQL that occ_lock runs on the users' tables: see prepared_query.hpp. */
#include "pg.hpp"

#include "prepared_query.hpp"

namespace occ {

namespace {

/* A prepared statement of this session. */
struct CachedQuery {
    uint32 hash; /* 0: free */
    char *text;
    int parameter_count;
    Oid parameter_types[INDEX_MAX_KEYS]; /* the same name may be that of another type by now */
    SPIPlanPtr plan;
    int pins; /* how many levels use it: a trigger may call the same set function again */
    std::uint64_t last_used;
};

/*
 * Enough for the tables that a session writes to in turn; a batch whose
 * elements differ in their columns takes one for each set of them.
 */
constexpr int max_cached = 128;
CachedQuery cache[max_cached];
std::uint64_t uses = 0;

CachedQuery *
find_cached(const char *text, uint32 hash, const QueryParameters &parameters)
{
    for (CachedQuery &query : cache) {
        if (query.hash == hash && strcmp(query.text, text) == 0 &&
            query.parameter_count == parameters.count &&
            std::equal(parameters.types, parameters.types + parameters.count,
                       query.parameter_types))
            return &query;
    }
    return nullptr;
}

/* A free place in the cache, that of the plan that was not used for longest; null if all are
 * pinned. */
CachedQuery *
make_room()
{
    CachedQuery *oldest = nullptr;

    for (CachedQuery &query : cache) {
        if (query.pins == 0 && (oldest == nullptr || query.last_used < oldest->last_used))
            oldest = &query;
    }
    if (oldest != nullptr && oldest->hash != 0) {
        oldest->hash = 0;
        oldest->last_used = 0;
        SPI_freeplan(oldest->plan);
        pfree(oldest->text);
    }
    return oldest;
}

SPIPlanPtr
prepare(const char *text, const QueryParameters &parameters)
{
    SPIPlanPtr plan = SPI_prepare_cursor(
        text, parameters.count, const_cast<Oid *>(parameters.types), CURSOR_OPT_GENERIC_PLAN);

    if (plan == nullptr)
        elog(ERROR, "could not prepare \"%s\": %s", text, SPI_result_code_string(SPI_result));
    return plan;
}

/* Put a plan into the cache.  Returns null if there is no room. */
CachedQuery *
keep(SPIPlanPtr plan, const char *text, uint32 hash, const QueryParameters &parameters)
{
    CachedQuery *place = make_room();

    if (place == nullptr)
        return nullptr;
    char *copy = MemoryContextStrdup(CacheMemoryContext, text);
    SPI_keepplan(plan);
    *place = {hash, copy, parameters.count, {}, plan, 0, 0};
    std::copy(parameters.types, parameters.types + parameters.count, place->parameter_types);
    return place;
}

/* A plan in use.  One that the cache has no room for lives as long as its SPI connection. */
struct PlanInUse {
    SPIPlanPtr plan;
    CachedQuery *pinned; /* or null */
};

/*
 * The plan of that text, prepared if it is not there.  It is pinned before
 * anything is done with it: to plan a query evaluates the functions in the
 * expressions of indexes, constraints and policies, to execute it fires
 * triggers, and such code may come here again and want any number of plans.
 * (Not inlined for the sake of run(), which calls setjmp().)
 */
pg_noinline PlanInUse
acquire(const char *text, const QueryParameters &parameters)
{
    const std::size_t length = strlen(text);
    const uint32 hash =
        1 | hash_bytes(reinterpret_cast<const unsigned char *>(text), static_cast<int>(length));
    CachedQuery *query = find_cached(text, hash, parameters);

    if (query == nullptr) {
        SPIPlanPtr plan = prepare(text, parameters);
        /* Whatever ran meanwhile may have put the same text there. */
        query = find_cached(text, hash, parameters);
        if (query == nullptr)
            query = keep(plan, text, hash, parameters);
        if (query == nullptr)
            return {plan, nullptr};
    }
    query->last_used = ++uses;
    query->pins++;
    return {query->plan, query};
}

/* Raises nothing. */
void
release(const PlanInUse &plan)
{
    if (plan.pinned != nullptr)
        plan.pinned->pins--;
}

void
register_rows(const NamedRows &input)
{
    auto *relation =
        static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));

    relation->md.name = pstrdup(input.name);
    relation->md.tupdesc = input.descriptor;
    relation->md.enrtype = ENR_NAMED_TUPLESTORE;
    relation->md.enrtuples = input.estimate;
    relation->reldata = input.rows;
    SPI_register_relation(relation);
}

ParamListInfo
bind(const QueryParameters &parameters)
{
    if (parameters.count == 0)
        return nullptr;

    ParamListInfo list = makeParamList(parameters.count);
    for (int i = 0; i < parameters.count; i++)
        list->params[i] = {parameters.values[i], false, PARAM_FLAG_CONST, parameters.types[i]};
    return list;
}

/* Do nested loops read the input of that name before they read a table? */
bool
reads_input_first(const Plan *plan, const char *input, bool *has_read_input)
{
    if (IsA(plan, NestLoop))
        return reads_input_first(outerPlan(plan), input, has_read_input) &&
               reads_input_first(innerPlan(plan), input, has_read_input);
    if (IsA(plan, Material))
        return reads_input_first(outerPlan(plan), input, has_read_input);
    if (IsA(plan, NamedTuplestoreScan)) {
        const char *name = reinterpret_cast<const NamedTuplestoreScan *>(plan)->enrname;
        *has_read_input = *has_read_input || strcmp(name, input) == 0;
        return true;
    }
    return *has_read_input &&
           (IsA(plan, IndexScan) || IsA(plan, BitmapHeapScan) || IsA(plan, SeqScan));
}

/*
 * Does an UPDATE look up its table's row for one input row after the other?
 * What rules make of one is several statements, some without a plan.
 */
bool
follows_input(const List *statements, const char *input)
{
    if (list_length(statements) != 1)
        return false;

    const Plan *top = linitial_node(PlannedStmt, statements)->planTree;
    bool has_read_input = false;
    return top != nullptr && IsA(top, ModifyTable) &&
           reads_input_first(outerPlan(top), input, &has_read_input);
}

/*
 * SQL can't ask for an order, but for a plan that keeps it anyway.  Should the
 * plan be made anew before it runs, because somebody has just analyzed the
 * table, the worst that can happen is a deadlock that PostgreSQL resolves.
 */
bool
keeps_order(const PlanInUse &plan, const char *input)
{
    if (plan.pinned == nullptr)
        return false;

    CachedPlan *cached = SPI_plan_get_cached_plan(plan.plan);
    const bool follows = follows_input(cached->stmt_list, input);
    ReleaseCachedPlan(cached, CurrentResourceOwner);
    return follows;
}

bool
are_of_types(TupleDesc descriptor, const List *types)
{
    bool same = descriptor->natts == list_length(types);

    for (int i = 0; same && i < descriptor->natts; i++)
        same = TupleDescAttr(descriptor, i)->atttypid == list_nth_oid(types, i);
    return same;
}

[[noreturn]] void
raise_altered(Relation table)
{
    ereport(ERROR, errcode(ERRCODE_OBJECT_IN_USE),
            errmsg("columns of table \"%s\" were renamed while a set function was at work",
                   RelationGetRelationName(table)),
            errdetail("A function that it has called did that: of a constraint, an index, a policy "
                      "or a trigger."),
            errhint("Rename columns before the call or after it."), errtable(table));
    pg_unreachable();
}

/*
 * The executor starts the receiver once it is in the query's own memory
 * context, and before the first row.
 */
extern "C" void
occ_receiver_startup(DestReceiver *self, int, TupleDesc descriptor)
{
    auto *receiver = reinterpret_cast<RowReceiver *>(self);

    if (receiver->table != nullptr && !are_of_types(descriptor, receiver->types))
        raise_altered(receiver->table);
    receiver->descriptor = descriptor;
    if (receiver->mark.kind != CheckedQuery::Kind::none)
        mark_checked_query(receiver->mark);
}

extern "C" bool
occ_receive_row(TupleTableSlot *slot, DestReceiver *self)
{
    const auto *receiver = reinterpret_cast<RowReceiver *>(self);

    receiver->on_row(receiver->receiver, slot);
    return true;
}

extern "C" void
occ_receiver_shutdown(DestReceiver *self)
{
    const auto *receiver = reinterpret_cast<RowReceiver *>(self);
    ErrorContextCallback *context = error_context_stack;

    if (receiver->on_end == nullptr)
        return;
    error_context_stack = receiver->outer_context;
    receiver->on_end(receiver->receiver);
    error_context_stack = context;
}

extern "C" void
occ_receiver_destroy(DestReceiver *)
{
}

void
execute(SPIPlanPtr plan, const SPIExecuteOptions &options)
{
    const int result = SPI_execute_plan_extended(plan, &options);

    if (result < 0)
        elog(ERROR, "could not execute a prepared query: %s", SPI_result_code_string(result));
}

/*
 * Run a query, unless its plan has another order than that of an input that is
 * not null.  Not inlined: setjmp() must not meet the variables of the caller.
 */
pg_noinline bool
run(const char *text, const QueryParameters &parameters, const SPIExecuteOptions &options,
    const char *ordering_input)
{
    const PlanInUse plan = acquire(text, parameters);
    volatile bool runs = true;

    PG_TRY();
    {
        runs = ordering_input == nullptr || keeps_order(plan, ordering_input);
        if (runs)
            execute(plan.plan, options);
    }
    PG_FINALLY();
    {
        release(plan);
    }
    PG_END_TRY();
    return runs;
}

}  // namespace

void
init_receiver(RowReceiver *receiver, const CheckedMark &mark,
              void (*on_row)(void *receiver, TupleTableSlot *slot), void *argument,
              void (*on_end)(void *receiver))
{
    receiver->destination = {occ_receive_row, occ_receiver_startup, occ_receiver_shutdown,
                             occ_receiver_destroy, DestTuplestore};
    receiver->table = nullptr;
    receiver->types = NIL;
    receiver->mark = mark;
    receiver->descriptor = nullptr;
    receiver->on_row = on_row;
    receiver->on_end = on_end;
    receiver->outer_context = error_context_stack;
    receiver->receiver = argument;
}

void
expect_types(RowReceiver *receiver, Relation table, List *types)
{
    receiver->table = table;
    receiver->types = types;
}

bool
run_prepared(const char *text, std::span<const NamedRows> inputs, const QueryParameters &parameters,
             RowReceiver *receiver, RowOrder order)
{
    SPIExecuteOptions options = {};

    SPI_connect();
    for (const NamedRows &input : inputs)
        register_rows(input);
    options.params = bind(parameters);
    options.dest = &receiver->destination;
    const bool runs =
        run(text, parameters, options, order == RowOrder::of_input ? inputs[0].name : nullptr);
    SPI_finish();
    return runs;
}

}  // namespace occ
