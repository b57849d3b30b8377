/* The guard's arguments, without a server: see src/options.hpp. */
#include "options.hpp"

#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace occ {
namespace {

Options
parsed(std::initializer_list<std::string_view> arguments)
{
    return parse_options({arguments.begin(), arguments.size()});
}

/* The names in a literal; "malformed" last if it is. */
std::vector<std::string>
names(std::string_view literal)
{
    std::vector<std::string> result;
    std::array<char, max_identifier + 1> buffer;
    std::size_t length;
    NameList list(literal);

    for (;;) {
        switch (list.next(buffer, &length)) {
        case NameList::Step::name:
            result.emplace_back(buffer.data(), length);
            break;
        case NameList::Step::malformed:
            result.emplace_back("malformed");
            return result;
        case NameList::Step::end:
            EXPECT_EQ(list.next(buffer, &length), NameList::Step::end);
            return result;
        }
    }
}

using Names = std::vector<std::string>;

TEST(Options, Defaults)
{
    for (const Options &options : {parsed({}), parsed({"version"})}) {
        EXPECT_EQ(options.problem, OptionProblem::none);
        EXPECT_EQ(options.version_column, "version");
        EXPECT_EQ(options.policy, policy_of(Preset::shared));
    }
}

TEST(Options, SingleOptionsOverrideThePresetInAnyOrder)
{
    const Options before = parsed({"v", "token=next", "preset=strict"});
    const Options after = parsed({"v", "preset=strict", "token=next"});

    EXPECT_EQ(before.policy, after.policy);
    EXPECT_EQ(before.policy.token, Token::next);
    EXPECT_EQ(before.policy.unstated, Unstated::reject);
}

TEST(Options, DeletesOfAPresetAreNotGiven)
{
    const Options preset = parsed({"v", "preset=strict"});
    const Options given = parsed({"v", "deletes=checked"});
    const Options overridden = parsed({"v", "deletes=allow", "preset=strict"});

    EXPECT_EQ(preset.policy.deletes, Deletes::checked);
    EXPECT_FALSE(preset.deletes_given);
    EXPECT_EQ(given.policy.deletes, Deletes::checked);
    EXPECT_TRUE(given.deletes_given);
    EXPECT_EQ(overridden.policy.deletes, Deletes::allow);
    EXPECT_TRUE(overridden.deletes_given);
}

TEST(Options, EveryValueOfEveryOption)
{
    EXPECT_EQ(parsed({"v", "token=advance"}).policy.token, Token::advance);
    EXPECT_EQ(parsed({"v", "token=auto"}).policy.token, Token::automatic);
    EXPECT_EQ(parsed({"v", "echo=keep"}).policy.echo, Echo::keep);
    EXPECT_EQ(parsed({"v", "unstated=warn"}).policy.unstated, Unstated::warn);
    EXPECT_EQ(parsed({"v", "enforce=warn"}).policy.enforce, Enforce::warn);
    EXPECT_EQ(parsed({"v", "time_precision=s"}).policy.time_precision, TimePrecision::s);
    EXPECT_EQ(parsed({"v", "deletes=allow"}).problem, OptionProblem::none);
    EXPECT_EQ(parsed({"v", "key={a,b}"}).key, "{a,b}");
    EXPECT_EQ(parsed({"v", "ignore={a=b}"}).ignore, "{a=b}") << "the first = separates";
}

/* What is not as it is by default. */
std::string
changed(const Options &options)
{
    const Options by_default;
    std::string result;

    const auto compare = [&](const char *name, const auto &before, const auto &after) {
        if (before != after)
            result += result.empty() ? name : std::string(" ") + name;
    };
    compare("preset", by_default.preset, options.preset);
    compare("token", by_default.policy.token, options.policy.token);
    compare("echo", by_default.policy.echo, options.policy.echo);
    compare("unstated", by_default.policy.unstated, options.policy.unstated);
    compare("deletes", by_default.policy.deletes, options.policy.deletes);
    compare("enforce", by_default.policy.enforce, options.policy.enforce);
    compare("time_precision", by_default.policy.time_precision, options.policy.time_precision);
    compare("key", by_default.key, options.key);
    compare("ignore", by_default.ignore, options.ignore);
    compare("column", by_default.column, options.column);
    return result;
}

TEST(Options, EachNameStandsForItself)
{
    const std::vector<std::string> arguments = {
        "preset=orm",   "token=read",        "echo=keep", "unstated=keep", "deletes=checked",
        "enforce=warn", "time_precision=ms", "key={a}",   "ignore={a}",    "column=added",
    };

    ASSERT_EQ(arguments.size(), option_names.size()) << "a new option needs a line here";
    for (std::size_t i = 0; i < arguments.size(); i++) {
        const Options options = parsed({"v", arguments[i]});
        EXPECT_EQ(arguments[i].substr(0, arguments[i].find('=')), option_names[i]);
        EXPECT_EQ(options.problem, OptionProblem::none) << arguments[i];
        EXPECT_EQ(changed(options),
                  i == 0 ? "preset token echo unstated" : std::string(option_names[i]));
    }
}

TEST(Options, Problems)
{
    EXPECT_EQ(parsed({""}).problem, OptionProblem::empty_version_column);
    EXPECT_EQ(parsed({"v", "token"}).problem, OptionProblem::not_name_value);
    EXPECT_EQ(parsed({"v", ""}).problem, OptionProblem::not_name_value);
    EXPECT_EQ(parsed({"v", "=x"}).problem, OptionProblem::unknown);
    EXPECT_EQ(parsed({"v", "Token=read"}).problem, OptionProblem::unknown);
    EXPECT_EQ(parsed({"v", "token=read", "token=read"}).problem, OptionProblem::repeated);
    EXPECT_EQ(parsed({"v", "preset=orm", "preset=orm"}).problem, OptionProblem::repeated);
    EXPECT_EQ(parsed({"v", "token=Read"}).problem, OptionProblem::bad_value);
    EXPECT_EQ(parsed({"v", "preset="}).problem, OptionProblem::bad_value);
    EXPECT_EQ(parsed({"v", "ignore=a"}).problem, OptionProblem::bad_names);
    EXPECT_EQ(parsed({"v", "deletes=never"}).problem, OptionProblem::bad_value);

    const Options bad = parsed({"v", "preset=orm", "echo=loud"});
    EXPECT_EQ(bad.culprit, "echo");
    EXPECT_EQ(bad.value, "loud");
    EXPECT_EQ(bad.valid.size(), 2u);
}

TEST(NameList, ReadsArrayLiterals)
{
    EXPECT_EQ(names("{}"), Names{});
    EXPECT_EQ(names(" { } "), Names{});
    EXPECT_EQ(names("{a}"), Names{"a"});
    EXPECT_EQ(names("{a,b , c}"), (Names{"a", "b", "c"}));
    EXPECT_EQ(names("{a b}"), Names{"a b"}) << "blanks within a name stay";
    EXPECT_EQ(names(R"({"a,b","c\"d","e\\f"," g "})"), (Names{"a,b", "c\"d", "e\\f", " g "}));
    EXPECT_EQ(names(R"({a\,b, \ })"), (Names{"a,b", " "})) << "a backslash quotes";
    EXPECT_EQ(names(R"({"NULL",nullable})"), (Names{"NULL", "nullable"}));
    EXPECT_EQ(names("{Größe}"), Names{"Größe"});
    EXPECT_EQ(names("{" + std::string(63, 'x') + "}"), Names{std::string(63, 'x')});
}

TEST(NameList, RefusesTheRest)
{
    for (const char *literal :
         {"",      "a",      "{",      "}",        "{a",    "a}",     "{a}}",     "{a} b",
          "{,}",   "{a,}",   "{,a}",   "{a,,b}",   "{\"a}", "{\"\"}", "{a\"b\"}", "{\"a\"b}",
          "{{a}}", "{NULL}", "{null}", "{a,Null}", "{\\",   "{a\\"})
        EXPECT_EQ(names(literal).back(), "malformed") << literal;
    EXPECT_EQ(names("{" + std::string(64, 'x') + "}").back(), "malformed");
    EXPECT_EQ(names("{\"" + std::string(1000, 'x') + "\"}").back(), "malformed");
}

}  // namespace
}  // namespace occ
