/* One SQL statement that the user gave as text: see user_statement.hpp. */
#include "pg.hpp"

#include "json_input.hpp"
#include "prepared_query.hpp"
#include "user_statement.hpp"

namespace occ {

namespace {

/* As inferred from the statement.  The parser enlarges the array where it was allocated. */
struct ParameterTypes {
    Oid *types;
    int count;
};

extern "C" void
occ_infer_parameter_types(ParseState *parse, void *argument)
{
    auto *inferred = static_cast<ParameterTypes *>(argument);

    pg::variable_parameters(parse, &inferred->types, &inferred->count);
}

[[noreturn]] void
raise_cannot_run(CommandTag tag)
{
    ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("%s cannot be run by occ.retry()", GetCommandTagName(tag)),
            errdetail("occ.retry() runs its statement within a transaction, and ends that itself."),
            errhint("Run it outside of occ.retry(), or leave it out."));
    pg_unreachable();
}

/* Refuse what PostgreSQL would refuse later, in words that don't fit here. */
void
check_kind(Node *statement)
{
    switch (nodeTag(statement)) {
    case T_VacuumStmt:
        if (!reinterpret_cast<VacuumStmt *>(statement)->is_vacuumcmd)
            break; /* ANALYZE */
        raise_cannot_run(CMDTAG_VACUUM);
    case T_TransactionStmt:
    case T_CreatedbStmt:
    case T_DropdbStmt:
    case T_CreateTableSpaceStmt:
    case T_DropTableSpaceStmt:
    case T_AlterSystemStmt:
        raise_cannot_run(CreateCommandTag(statement));
    case T_CopyStmt:
        if (reinterpret_cast<CopyStmt *>(statement)->filename == nullptr)
            raise_cannot_run(CMDTAG_COPY);
        break;
    default:
        break;
    }
}

/* A parameter whose first use left its type open must not have got one by a later use. */
void
check_types(const CachedPlanSource &source, ParameterTypes *inferred)
{
    ParseState *parse = make_parsestate(nullptr);
    const ListCell *cell;

    pg::variable_parameters(parse, &inferred->types, &inferred->count);
    foreach (cell, source.query_list) {
        auto *query = static_cast<Query *>(lfirst(cell));
        if (query->commandType == CMD_UTILITY)
            query = UtilityContainsQuery(query->utilityStmt);
        if (query != nullptr)
            check_variable_parameters(parse, query);
    }
    free_parsestate(parse);
}

/* Its one statement, parsed. */
SPIPlanPtr
prepare(const char *text, ParameterTypes *inferred)
{
    SPIPrepareOptions options = {};

    options.parserSetup = occ_infer_parameter_types;
    options.parserSetupArg = inferred;
    SPIPlanPtr plan = SPI_prepare_extended(text, &options);
    if (plan == nullptr)
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("occ.retry() cannot run this statement: %s",
                       SPI_result_code_string(SPI_result)));

    const List *sources = SPI_plan_get_plan_sources(plan);
    if (sources == NIL)
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("statement is empty"),
                errhint("Pass the statement to run, as text."));
    if (list_length(sources) > 1)
        ereport(ERROR, errcode(ERRCODE_SYNTAX_ERROR),
                errmsg("occ.retry() runs one statement, not %d", list_length(sources)),
                errhint("Put them into a function or a DO block."));

    const auto *source = static_cast<CachedPlanSource *>(linitial(sources));
    check_kind(source->raw_parse_tree->stmt);
    check_types(*source, inferred);
    return plan;
}

void
check_count(const ParameterTypes &inferred, int given)
{
    if (given < inferred.count)
        ereport(ERROR, errcode(ERRCODE_UNDEFINED_PARAMETER),
                errmsg("there is no argument for parameter $%d", given + 1),
                errhint("Pass a JSON array with an element for each parameter in \"arguments\"."));
    if (given > inferred.count)
        ereport(
            ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
            errmsg("the statement has no parameter $%d", inferred.count + 1),
            errhint(
                "Each element of \"arguments\" is a parameter of the statement, $1, $2, and so on. "
                "EXECUTE and most DDL can take none."));
}

extern "C" void
occ_parameter_context(void *argument)
{
    errcontext("parameter $%d", *static_cast<int *>(argument));
}

ParamListInfo
bind(const ParameterTypes &inferred, Jsonb *arguments)
{
    const int given = arguments == nullptr ? 0 : static_cast<int>(JB_ROOT_COUNT(arguments));

    check_count(inferred, given);
    if (given == 0)
        return nullptr;

    ParamListInfo list = makeParamList(given);
    int number;
    ErrorContextCallback context = {error_context_stack, occ_parameter_context, &number};
    error_context_stack = &context;
    for (number = 1; number <= given; number++) {
        const Oid type = inferred.types[number - 1];
        if (!OidIsValid(type) || type == UNKNOWNOID)
            ereport(ERROR, errcode(ERRCODE_INDETERMINATE_DATATYPE),
                    errmsg("could not determine data type of parameter $%d", number),
                    errhint("Cast it, as in \"$%d::int\".", number));
        TupleDesc row = CreateTemplateTupleDesc(1);
        TupleDescInitEntry(row, 1, "value", type, -1, 0);
        const ColumnReader *reader = make_reader(TupleDescAttr(row, 0));
        JsonbValue *json = getIthJsonbValueFromContainer(&arguments->root, number - 1);
        const Value value = read_value(*reader, json);
        list->params[number - 1] = {value.datum, value.isnull, PARAM_FLAG_CONST, type};
    }
    error_context_stack = context.previous;
    return list;
}

/* The first row of a result. */
struct FirstRow {
    RowReceiver receiver;
    MemoryContext context;
    Jsonb *json;
};

void
take_first_row(void *argument, TupleTableSlot *slot)
{
    auto *first = static_cast<FirstRow *>(argument);

    if (first->json != nullptr)
        return;
    slot_getallattrs(slot);
    TupleDesc descriptor = BlessTupleDesc(CreateTupleDescCopy(first->receiver.descriptor));
    const Datum row =
        HeapTupleGetDatum(heap_form_tuple(descriptor, slot->tts_values, slot->tts_isnull));
    const char *json = TextDatumGetCString(DirectFunctionCall1(row_to_json, row));

    MemoryContext old = MemoryContextSwitchTo(first->context);
    first->json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
    MemoryContextSwitchTo(old);
}

}  // namespace

Jsonb *
check_arguments(Jsonb *arguments)
{
    if (arguments != nullptr && (!JB_ROOT_IS_ARRAY(arguments) || JB_ROOT_IS_SCALAR(arguments)))
        ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                errmsg("\"arguments\" must be a JSON array"),
                errhint("Its elements are the parameters $1, $2, ... of the statement."));
    return arguments;
}

Jsonb *
run_user_statement(const UserStatement &statement, MemoryContext context)
{
    FirstRow first = {{}, context, nullptr};
    SPIExecuteOptions options = {};

    SPI_connect();
    ParameterTypes inferred = {static_cast<Oid *>(palloc(sizeof(Oid))), 0};

    /* Input functions and domains may look into tables, and right after a commit there is no
     * snapshot. */
    PushActiveSnapshot(GetTransactionSnapshot());
    SPIPlanPtr plan = prepare(statement.text, &inferred);
    options.params = bind(inferred, statement.arguments);
    PopActiveSnapshot();

    init_receiver(&first.receiver, {}, take_first_row, &first);
    options.dest = &first.receiver.destination;

    const int result = SPI_execute_plan_extended(plan, &options);
    if (result < 0)
        ereport(
            ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
            errmsg("occ.retry() cannot run this statement: %s", SPI_result_code_string(result)));
    SPI_finish();
    return first.json;
}

}  // namespace occ
