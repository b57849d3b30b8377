/* What becomes of a row's version, without a server: see src/decision.hpp. */
#include "decision.hpp"

#include <gtest/gtest.h>

namespace occ {
namespace {

using Integer = Counter<std::int32_t>;

constexpr Claim unstated = {false, true, false};
constexpr Claim stated = {true, false, false};
constexpr Claim echo = {true, true, false};
constexpr Claim checked_echo = {true, true, true};

Decision
decided(const Policy &policy, const Claim &claim, int stored_version, int stated_version)
{
    return decide(Integer{}, policy, claim, {true, stored_version}, {true, stated_version});
}

TEST(Decision, FollowsThePolicyIfNothingIsStated)
{
    Policy policy;

    for (const Unstated choice : {Unstated::bump, Unstated::warn, Unstated::reject}) {
        policy.unstated = choice;
        const Decision decision = decided(policy, unstated, 5, 5);
        EXPECT_EQ(decision.written, WrittenVersion::next);
        EXPECT_EQ(decision.unproven, choice != Unstated::bump);
        EXPECT_TRUE(decision.ignorable);
    }
    policy.unstated = Unstated::keep;
    EXPECT_EQ(decided(policy, unstated, 5, 5).written, WrittenVersion::stored);
    EXPECT_FALSE(decided(policy, unstated, 5, 5).unproven);
}

TEST(Decision, AChangedValueCountsAsStated)
{
    EXPECT_EQ(decided(policy_of(Preset::strict), stated, 5, 4).written, WrittenVersion::none);
    EXPECT_FALSE(decided(policy_of(Preset::strict), stated, 5, 4).unproven);
}

TEST(Decision, WritesNextStoredOrStated)
{
    EXPECT_EQ(decided(policy_of(Preset::shared), echo, 5, 5).written, WrittenVersion::next);
    EXPECT_EQ(decided(policy_of(Preset::shared), stated, 5, 6).written, WrittenVersion::stated);
    EXPECT_EQ(decided(policy_of(Preset::shared), stated, 5, 7).written, WrittenVersion::none);
    EXPECT_EQ(decided(policy_of(Preset::orm), echo, 5, 5).written, WrittenVersion::stored);
    EXPECT_EQ(decided(policy_of(Preset::orm), stated, 5, 7).written, WrittenVersion::stated);
    EXPECT_EQ(decided(policy_of(Preset::strict), stated, 5, 6).written, WrittenVersion::none);
}

TEST(Decision, AQueryThatHasCheckedItsRowsMayStateWhatItRead)
{
    Policy policy;
    policy.token = Token::next;

    EXPECT_EQ(decided(policy, echo, 5, 5).written, WrittenVersion::none);
    EXPECT_EQ(decided(policy, checked_echo, 5, 5).written, WrittenVersion::next);
    EXPECT_TRUE(decided(policy, checked_echo, 5, 5).ignorable);
    EXPECT_FALSE(decide(Integer{}, policy, checked_echo, {}, {}).ignorable);
}

TEST(Decision, TheFirstVersionOfARowIsNeverIgnored)
{
    Policy policy;
    policy.token = Token::read;

    /* An infinity counts as NULL, and what is stated over it repairs it. */
    const Decision repair =
        decide(Timestamps{}, policy, stated, {true, Timestamps::infinity}, {true, 0});
    EXPECT_EQ(repair.written, WrittenVersion::next);
    EXPECT_FALSE(repair.ignorable);
}

TEST(Decision, AStampProvesNothing)
{
    Policy policy;
    Timestamps type;
    type.clock.starts.add(1000);
    type.clock.starts.add(2000);

    for (const Unstated choice :
         {Unstated::bump, Unstated::keep, Unstated::warn, Unstated::reject}) {
        const bool unproven = choice == Unstated::warn || choice == Unstated::reject;
        policy.unstated = choice;

        const Decision later = decide(type, policy, stated, {true, 5000}, {true, 9000});
        EXPECT_EQ(later.written, WrittenVersion::stated);
        EXPECT_EQ(later.unproven, unproven);

        const Decision start = decide(type, policy, stated, {true, 5000}, {true, 1000});
        EXPECT_EQ(start.written, WrittenVersion::next);
        EXPECT_EQ(start.unproven, unproven);
    }
}

TEST(Decision, TheHintKnowsWhoStatesTheNextVersion)
{
    EXPECT_TRUE(states_next(Integer{}, Token::read, {true, 5}, {true, 6}));
    EXPECT_TRUE(states_next(Integer{}, Token::read, {}, {true, 1}));
    EXPECT_FALSE(states_next(Integer{}, Token::read, {true, 5}, {true, 4}));
    EXPECT_FALSE(states_next(Integer{}, Token::read, {true, 5}, {}));
    EXPECT_FALSE(states_next(Integer{}, Token::automatic, {true, 5}, {true, 6}));
}

}  // namespace
TEST(SecondsHint, IsForStampsJustBehind)
{
    constexpr std::int64_t second = Timestamps::second;
    const Timestamps type;
    const auto hints = [&](std::int64_t stored, std::int64_t stated) {
        return states_seconds(type, Token::automatic, Maybe<std::int64_t>{true, stored},
                              Maybe<std::int64_t>{true, stated});
    };

    EXPECT_TRUE(hints(7 * second + 600000, 7 * second));
    EXPECT_TRUE(hints(8 * second, 7 * second));
    EXPECT_FALSE(hints(8 * second + 1, 7 * second)) << "more than a second";
    EXPECT_FALSE(hints(7 * second + 600000, 7 * second + 1)) << "finer than seconds";
    EXPECT_FALSE(hints(7 * second, 8 * second)) << "ahead";
    EXPECT_FALSE(states_seconds(type, Token::read, Maybe<std::int64_t>{true, 8 * second},
                                Maybe<std::int64_t>{true, 7 * second}));
    /* The ends of the calendar are further apart than a number can say. */
    for (const std::int64_t far : {Timestamps::minus_infinity, -210 * 1000 * 1000 * second})
        for (const std::int64_t stored : {Timestamps::infinity, Timestamps::end - 1, second})
            EXPECT_FALSE(hints(stored, far)) << stored << ' ' << far;
}

}  // namespace occ
