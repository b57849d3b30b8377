/*
 * The arguments of occ.guard(): the version column, then name=value options.
 * Pure: see version.hpp.  Nothing is copied; the result points into the
 * arguments, and a problem is returned, not raised.
 */
#ifndef OCC_OPTIONS_HPP
#define OCC_OPTIONS_HPP

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>
#include <string_view>

#include "policy.hpp"

namespace occ {

/* Longest identifier that PostgreSQL keeps, without its terminator. */
inline constexpr std::size_t max_identifier = 63;

/*
 * Reads an array literal of names, such as {a,"b c"}, one element at a time.
 * The syntax is that of PostgreSQL's array input for one dimension; NULL is
 * not a name.
 */
class NameList {
public:
    enum class Step : std::uint8_t { name, end, malformed };

    NameList() = default;
    explicit constexpr NameList(std::string_view literal) : rest(literal) {}

    /* The next name, unescaped, into buffer; its length goes to *length. */
    constexpr Step next(std::span<char, max_identifier + 1> buffer, std::size_t *length);

private:
    constexpr void skip_blanks()
    {
        while (!rest.empty() && (rest[0] == ' ' || (rest[0] >= '\t' && rest[0] <= '\r')))
            rest.remove_prefix(1);
    }

    std::string_view rest;
    bool started = false;
    bool ended = false;
};

/* What is wrong with an argument list. */
enum class OptionProblem : std::uint8_t {
    none,
    empty_version_column,
    not_name_value,
    unknown,
    repeated,
    bad_value,
    bad_names,
};

struct Options {
    std::string_view version_column = "version";
    Preset preset = Preset::shared;
    Policy policy;
    bool deletes_given = false; /* by itself, not by the preset */
    std::string_view ignore;    /* array literals; empty if the option is not given */
    std::string_view key;
    ColumnOrigin column = ColumnOrigin::own;

    OptionProblem problem = OptionProblem::none;
    std::string_view culprit;                     /* the option or argument in question */
    std::string_view value;                       /* the value it was given */
    std::span<const std::string_view> valid = {}; /* the values it takes */
};

constexpr NameList::Step
NameList::next(std::span<char, max_identifier + 1> buffer, std::size_t *length)
{
    *length = 0;
    if (ended)
        return Step::end;
    skip_blanks();
    if (!started) {
        if (rest.empty() || rest[0] != '{')
            return Step::malformed;
        rest.remove_prefix(1);
        skip_blanks();
        started = true;
        if (!rest.empty() && rest[0] == '}') {
            rest.remove_prefix(1);
            skip_blanks();
            ended = true;
            return rest.empty() ? Step::end : Step::malformed;
        }
    }

    const bool quoted = !rest.empty() && rest[0] == '"';
    bool closed = false;
    std::size_t used = 0; /* without trailing blanks of an unquoted name */
    if (quoted)
        rest.remove_prefix(1);
    for (; !rest.empty(); rest.remove_prefix(1)) {
        char c = rest[0];
        if (quoted && c == '"') {
            rest.remove_prefix(1);
            closed = true;
            break;
        }
        if (!quoted && (c == ',' || c == '}'))
            break;
        if (!quoted && (c == '"' || c == '{'))
            return Step::malformed;
        const bool escaped = c == '\\';
        if (escaped) {
            rest.remove_prefix(1);
            if (rest.empty())
                return Step::malformed;
            c = rest[0];
        }
        if (*length == max_identifier)
            return Step::malformed;
        buffer[(*length)++] = c;
        if (quoted || escaped || !(c == ' ' || (c >= '\t' && c <= '\r')))
            used = *length;
    }
    if (quoted != closed)
        return Step::malformed;
    *length = used;
    skip_blanks();
    if (used == 0 || rest.empty())
        return Step::malformed;

    const std::string_view name(buffer.data(), used);
    if (!quoted && name.size() == 4 && (name[0] | 32) == 'n' && (name[1] | 32) == 'u' &&
        (name[2] | 32) == 'l' && (name[3] | 32) == 'l')
        return Step::malformed;
    buffer[used] = '\0';
    if (rest[0] == '}') {
        rest.remove_prefix(1);
        skip_blanks();
        ended = true;
        return rest.empty() ? Step::name : Step::malformed;
    }
    if (rest[0] != ',')
        return Step::malformed;
    rest.remove_prefix(1);
    return Step::name;
}

namespace detail {

constexpr bool
well_formed(std::string_view literal)
{
    std::array<char, max_identifier + 1> buffer = {};
    std::size_t length = 0;
    NameList names(literal);
    for (;;) {
        switch (names.next(buffer, &length)) {
        case NameList::Step::name:
            break;
        case NameList::Step::end:
            return true;
        case NameList::Step::malformed:
            return false;
        }
    }
}

/* Find value among the names of E. */
template <class E>
constexpr bool
parse_value(Options *options, std::string_view value, E *result)
{
    for (std::size_t i = 0; i < names_of<E>.size(); i++) {
        if (names_of<E>[i] == value) {
            *result = static_cast<E>(i);
            return true;
        }
    }
    options->problem = OptionProblem::bad_value;
    options->valid = names_of<E>;
    return false;
}

constexpr bool
apply_preset(Options *options, std::string_view value)
{
    if (!parse_value(options, value, &options->preset))
        return false;
    options->policy = policy_of(options->preset);
    return true;
}

template <auto policy>
constexpr bool
apply_policy(Options *options, std::string_view value)
{
    return parse_value(options, value, &(options->policy.*policy));
}

constexpr bool
apply_deletes(Options *options, std::string_view value)
{
    options->deletes_given = true;
    return parse_value(options, value, &options->policy.deletes);
}

constexpr bool
apply_column(Options *options, std::string_view value)
{
    return parse_value(options, value, &options->column);
}

template <auto list>
constexpr bool
apply_names(Options *options, std::string_view value)
{
    if (!well_formed(value)) {
        options->problem = OptionProblem::bad_names;
        return false;
    }
    options->*list = value;
    return true;
}

}  // namespace detail

/* An option of a guard.  A reference, so that none can be without what applies it. */
struct Option {
    std::string_view name;
    bool (&apply)(Options *options, std::string_view value);
};

inline constexpr Option preset_option = {"preset", detail::apply_preset};
inline constexpr Option option_table[] = {
    preset_option,
    {"token", detail::apply_policy<&Policy::token>},
    {"echo", detail::apply_policy<&Policy::echo>},
    {"unstated", detail::apply_policy<&Policy::unstated>},
    {"deletes", detail::apply_deletes},
    {"enforce", detail::apply_policy<&Policy::enforce>},
    {"time_precision", detail::apply_policy<&Policy::time_precision>},
    {"key", detail::apply_names<&Options::key>},
    {"ignore", detail::apply_names<&Options::ignore>},
    {"column", detail::apply_column},
};

inline constexpr auto option_names = [] {
    std::array<std::string_view, std::size(option_table)> names = {};
    std::transform(std::begin(option_table), std::end(option_table), names.begin(),
                   [](const Option &option) { return option.name; });
    return names;
}();

/*
 * Parse the arguments of a guard.  The preset is applied first, wherever it
 * stands; a single option overrides it.
 */
constexpr Options
parse_options(std::span<const std::string_view> arguments)
{
    Options options;
    std::array<bool, option_names.size()> seen = {};

    if (arguments.empty())
        return options;
    options.version_column = arguments[0];
    if (options.version_column.empty()) {
        options.problem = OptionProblem::empty_version_column;
        return options;
    }

    for (const bool presets : {true, false}) {
        for (const std::string_view argument : arguments.last(arguments.size() - 1)) {
            const std::size_t equals = argument.find('=');
            options.culprit = argument;
            if (equals == std::string_view::npos) {
                options.problem = OptionProblem::not_name_value;
                return options;
            }
            const std::string_view name(argument.data(), equals);
            const std::string_view value(argument.data() + equals + 1,
                                         argument.size() - equals - 1);
            options.culprit = name;
            options.value = value;

            const auto *option =
                std::find_if(std::begin(option_table), std::end(option_table),
                             [&](const Option &known) { return known.name == name; });
            if (option == std::end(option_table)) {
                options.problem = OptionProblem::unknown;
                options.valid = option_names;
                return options;
            }
            if (presets != (name == preset_option.name))
                continue;
            bool &repeated = seen[static_cast<std::size_t>(option - option_table)];
            if (repeated) {
                options.problem = OptionProblem::repeated;
                return options;
            }
            repeated = true;
            if (!option->apply(&options, value))
                return options;
        }
    }
    options.culprit = options.value = {};
    return options;
}

}  // namespace occ

#endif
