/* The guard's arguments as PostgreSQL stores them: see arguments.hpp. */
#include "pg.hpp"

#include "arguments.hpp"

namespace occ {

namespace {

char *
cstring(std::string_view text)
{
    return pnstrdup(text.data(), text.size());
}

/* "a, b and c" */
char *
enumerate(std::span<const std::string_view> words)
{
    StringInfoData text;

    initStringInfo(&text);
    for (std::size_t i = 0; i < words.size(); i++) {
        if (i > 0)
            appendStringInfoString(&text, i + 1 < words.size() ? ", " : " and ");
        appendBinaryStringInfo(&text, words[i].data(), static_cast<int>(words[i].size()));
    }
    return text.data;
}

}  // namespace

void
add_text_options(Arguments *arguments, FunctionCallInfo fcinfo, std::span<const TextOption> options)
{
    for (const TextOption &option : options) {
        if (PG_ARGISNULL(option.number))
            continue;
        const char *value = text_to_cstring(PG_GETARG_TEXT_PP(option.number));
        if (option.default_value == nullptr || strcmp(value, option.default_value) != 0)
            arguments->add(psprintf("%s=%s", option.name, value));
    }
}

char *
names_argument(const char *option, ArrayType *names)
{
    Oid output;
    bool is_varlena;

    getTypeOutputInfo(NAMEARRAYOID, &output, &is_varlena);
    return psprintf("%s=%s", option, OidOutputFunctionCall(output, PointerGetDatum(names)));
}

Arguments
arguments_of(const Trigger &trigger)
{
    Arguments arguments;

    for (int i = 0; i < trigger.tgnargs; i++)
        arguments.add(trigger.tgargs[i]);
    return arguments;
}

void
check_options(const Options &options, const Trigger *trigger, Relation relation)
{
    if (options.problem == OptionProblem::none)
        return;

    const char *culprit = cstring(options.culprit);
    const char *value = cstring(options.value);
    const char *message = nullptr;
    const char *hint = nullptr;

    switch (options.problem) {
    case OptionProblem::none:
        return; /* dealt with above */
    case OptionProblem::empty_version_column:
        message = "the name of the version column is empty";
        hint = "Name a column of the table.";
        break;
    case OptionProblem::not_name_value:
        message = psprintf("invalid option \"%s\" for a guard", culprit);
        hint = "Name the version column first, then options as name=value.";
        break;
    case OptionProblem::unknown:
        message = psprintf("unrecognized option \"%s\" for a guard", culprit);
        hint = psprintf("Valid options are %s.", enumerate(options.valid));
        break;
    case OptionProblem::repeated:
        message = psprintf("option \"%s\" is given more than once", culprit);
        hint = "Give each option once.";
        break;
    case OptionProblem::bad_value:
        message = psprintf("invalid value \"%s\" for option \"%s\"", value, culprit);
        hint = psprintf("Valid values are %s.", enumerate(options.valid));
        break;
    case OptionProblem::bad_names:
        message = psprintf("invalid list of columns \"%s\" for option \"%s\"", value, culprit);
        hint = psprintf("Write the columns as an array of names, such as %s={a,b}.", culprit);
        break;
    }
    ereport(ERROR, errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", message),
            trigger ? errdetail("Trigger \"%s\" on table \"%s\" has it as an argument.",
                                trigger->tgname, RelationGetRelationName(relation))
                    : 0,
            errhint("%s", hint), trigger ? errtable(relation) : 0);
}

Options
options_of(const Trigger &trigger, Relation relation)
{
    const Arguments arguments = arguments_of(trigger);
    const Options options = parse_options(arguments.span());

    check_options(options, &trigger, relation);
    return options;
}

}  // namespace occ
