/*
 * The choices an owner makes for a guarded table, and their names in SQL.
 * Pure: see version.hpp.
 */
#ifndef OCC_POLICY_HPP
#define OCC_POLICY_HPP

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace occ {

/* Which stated versions may pass: the one read, the next, either, or any advance. */
enum class Token : std::uint8_t { read, next, automatic, advance };

/* What an update that states the stored version itself does to it. */
enum class Echo : std::uint8_t { bump, keep };

/* What an update that states no version does. */
enum class Unstated : std::uint8_t { bump, keep, warn, reject };

/* Whether a refusal is an error, or (for roll-outs) a warning. */
enum class Enforce : std::uint8_t { error, warn };

/* Whether only occ.delete() and referential actions may delete. */
enum class Deletes : std::uint8_t { allow, checked };

/* The coarsest difference between two times that a client can see. */
enum class TimePrecision : std::uint8_t { us, ms, s };

/* Whose the version column is: the application's, or one that occ.enable() has added. */
enum class ColumnOrigin : std::uint8_t { own, added };

enum class Preset : std::uint8_t { shared, strict, orm };

/* A value's names in SQL, in the order of its enumerators. */
template <class E>
inline constexpr std::array<std::string_view, 0> names_of = {};
template <>
inline constexpr std::array<std::string_view, 4> names_of<Token> = {"read", "next", "auto",
                                                                    "advance"};
template <>
inline constexpr std::array<std::string_view, 2> names_of<Echo> = {"bump", "keep"};
template <>
inline constexpr std::array<std::string_view, 4> names_of<Unstated> = {"bump", "keep", "warn",
                                                                       "reject"};
template <>
inline constexpr std::array<std::string_view, 2> names_of<Enforce> = {"error", "warn"};
template <>
inline constexpr std::array<std::string_view, 2> names_of<Deletes> = {"allow", "checked"};
template <>
inline constexpr std::array<std::string_view, 3> names_of<TimePrecision> = {"us", "ms", "s"};
template <>
inline constexpr std::array<std::string_view, 2> names_of<ColumnOrigin> = {"own", "added"};
template <>
inline constexpr std::array<std::string_view, 3> names_of<Preset> = {"shared", "strict", "orm"};

template <class E>
constexpr std::string_view
name_of(E value)
{
    return names_of<E>[static_cast<std::size_t>(value)];
}

/* The policies of one guarded table. */
struct Policy {
    Token token = Token::automatic;
    Echo echo = Echo::bump;
    Unstated unstated = Unstated::bump;
    Deletes deletes = Deletes::allow;
    Enforce enforce = Enforce::error;
    TimePrecision time_precision = TimePrecision::us;

    friend constexpr bool operator==(const Policy &, const Policy &) = default;
};

/* Does an update that states no version have to be told of? */
constexpr bool
refuses_unstated(const Policy &policy)
{
    return policy.unstated == Unstated::warn || policy.unstated == Unstated::reject;
}

constexpr Policy
policy_of(Preset preset)
{
    Policy policy;
    switch (preset) {
    case Preset::shared:
        break;
    case Preset::strict:
        policy.token = Token::read;
        policy.unstated = Unstated::reject;
        policy.deletes = Deletes::checked;
        break;
    case Preset::orm:
        policy.token = Token::advance;
        policy.echo = Echo::keep;
        policy.unstated = Unstated::keep;
        break;
    }
    return policy;
}

}  // namespace occ

#endif
