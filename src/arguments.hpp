/* The guard's arguments as PostgreSQL stores them, and what is wrong with them. */
#ifndef OCC_ARGUMENTS_HPP
#define OCC_ARGUMENTS_HPP

#include "options.hpp"
#include "pg.hpp"

namespace occ {

/* A guard takes its version column and each option at most once; more is an error anyway. */
inline constexpr std::size_t max_arguments = option_names.size() + 2;

/* A list of arguments to parse.  The strings stay where they are. */
struct Arguments {
    std::array<std::string_view, max_arguments> items = {};
    std::size_t count = 0;

    /* Beyond max_arguments nothing is added: the last of them is a repetition then. */
    void add(std::string_view argument)
    {
        if (count < items.size())
            items[count++] = argument;
    }

    std::span<const std::string_view> span() const { return {items.data(), count}; }
};

/* An option that is an SQL function's argument of type text. */
struct TextOption {
    int number; /* of the argument */
    const char *name;
    const char *default_value; /* or null: then the preset has it */
};

/* Add the options that a call gives; null and the default are not written down. */
void add_text_options(Arguments *arguments, FunctionCallInfo fcinfo,
                      std::span<const TextOption> options);

/* The columns that an option names, as the array literal that an argument holds. */
char *names_argument(const char *option, ArrayType *names);

/* The arguments of an installed guard. */
Arguments arguments_of(const Trigger &trigger);

/*
 * Raise what is wrong with a list of options, if anything is: 22023.  trigger,
 * which may be null, is where the options stand, and relation its table.
 */
void check_options(const Options &options, const Trigger *trigger, Relation relation);

/* The options of an installed guard; raises as check_options() does. */
Options options_of(const Trigger &trigger, Relation relation);

}  // namespace occ

#endif
