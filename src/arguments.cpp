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

Arguments
arguments_of(const Trigger &trigger)
{
    Arguments arguments;

    for (int i = 0; i < trigger.tgnargs; i++)
        arguments.add(trigger.tgargs[i]);
    return arguments;
}

void
check_options(const Options &options, const char *detail)
{
    const int where = ERRCODE_INVALID_PARAMETER_VALUE;

    switch (options.problem) {
    case OptionProblem::none:
        return;
    case OptionProblem::empty_version_column:
        ereport(ERROR, errcode(where), errmsg("the name of the version column is empty"),
                detail ? errdetail("%s", detail) : 0, errhint("Name a column of the table."));
        break;
    case OptionProblem::not_name_value:
        ereport(ERROR, errcode(where),
                errmsg("invalid option \"%s\" for a guard", cstring(options.culprit)),
                detail ? errdetail("%s", detail) : 0,
                errhint("Name the version column first, then options as name=value."));
        break;
    case OptionProblem::unknown:
        ereport(ERROR, errcode(where),
                errmsg("unrecognized option \"%s\" for a guard", cstring(options.culprit)),
                detail ? errdetail("%s", detail) : 0,
                errhint("Valid options are %s.", enumerate(options.valid)));
        break;
    case OptionProblem::repeated:
        ereport(ERROR, errcode(where),
                errmsg("option \"%s\" is given more than once", cstring(options.culprit)),
                detail ? errdetail("%s", detail) : 0, errhint("Give each option once."));
        break;
    case OptionProblem::bad_value:
        ereport(ERROR, errcode(where),
                errmsg("invalid value \"%s\" for option \"%s\"", cstring(options.value),
                       cstring(options.culprit)),
                detail ? errdetail("%s", detail) : 0,
                options.valid.size() == 1
                    ? errhint("The only valid value is %s.", enumerate(options.valid))
                    : errhint("Valid values are %s.", enumerate(options.valid)));
        break;
    case OptionProblem::bad_names:
        ereport(ERROR, errcode(where),
                errmsg("invalid list of columns \"%s\" for option \"%s\"", cstring(options.value),
                       cstring(options.culprit)),
                detail ? errdetail("%s", detail) : 0,
                errhint("Write the columns as an array of names, such as %s={a,b}.",
                        cstring(options.culprit)));
        break;
    case OptionProblem::checked_deletes:
        ereport(ERROR, errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                errmsg("deletes => 'checked' is not supported yet"),
                detail ? errdetail("%s", detail) : 0,
                errhint("Leave the option out, or use deletes => 'allow'."));
        break;
    }
}

Options
options_of(const Trigger &trigger, Relation relation)
{
    const Arguments arguments = arguments_of(trigger);
    const Options options = parse_options(arguments.span());

    if (options.problem != OptionProblem::none)
        check_options(options, psprintf("Trigger \"%s\" on table \"%s\" has it as an argument.",
                                        trigger.tgname, RelationGetRelationName(relation)));
    return options;
}

}  // namespace occ
