/* Version arithmetic, without a server: see src/version.hpp. */
#include "version.hpp"

#include <gtest/gtest.h>

namespace occ {
namespace {

template <class T>
Verdict
judged(const T &type, Token token, typename T::value_type stored, typename T::value_type stated,
       Echo echo = Echo::bump)
{
    return judge(type, token, echo, {true, stored}, {true, stated});
}

constexpr Token all_tokens[] = {Token::read, Token::next, Token::automatic, Token::advance};

/* The contract is known at compile time, too. */
static_assert(judge(Counter<int>{}, Token::automatic, Echo::bump, {true, 5}, {true, 5}) ==
              Verdict::bump);
static_assert(Counter<std::int16_t>::next(32767) == 1);
static_assert(Timestamps::resolution_of(3) == 1000 && Timestamps::resolution_of(-1) == 1);

template <class I>
class CounterTest : public testing::Test {
};
using Integers = testing::Types<std::int16_t, std::int32_t, std::int64_t>;
TYPED_TEST_SUITE(CounterTest, Integers);

TYPED_TEST(CounterTest, CountsFromOneAndWrapsToOne)
{
    using C = Counter<TypeParam>;
    constexpr TypeParam max = std::numeric_limits<TypeParam>::max();
    constexpr TypeParam min = std::numeric_limits<TypeParam>::min();

    EXPECT_EQ(C::first({}), 1);
    EXPECT_EQ(C::next(0), 1);
    EXPECT_EQ(C::next(-1), 0);
    EXPECT_EQ(C::next(min), min + 1);
    EXPECT_EQ(C::next(max - 1), max);
    EXPECT_EQ(C::next(max), 1);
}

TYPED_TEST(CounterTest, Standing)
{
    using C = Counter<TypeParam>;
    constexpr TypeParam max = std::numeric_limits<TypeParam>::max();

    EXPECT_EQ(C::standing(5, 5), Standing::equal);
    EXPECT_EQ(C::standing(6, 5), Standing::next);
    EXPECT_EQ(C::standing(7, 5), Standing::ahead);
    EXPECT_EQ(C::standing(4, 5), Standing::behind);
    EXPECT_EQ(C::standing(1, max), Standing::next) << "after wrapping";
    EXPECT_EQ(C::standing(2, max), Standing::behind);
    EXPECT_EQ(C::standing(max, 1), Standing::ahead);
    EXPECT_EQ(C::over_null(1), Standing::next);
    EXPECT_EQ(C::over_null(0), Standing::ahead);
}

TYPED_TEST(CounterTest, VerdictOfEachToken)
{
    const Counter<TypeParam> type;

    EXPECT_EQ(judged(type, Token::read, 5, 5), Verdict::bump);
    EXPECT_EQ(judged(type, Token::read, 5, 6), Verdict::stale);
    EXPECT_EQ(judged(type, Token::next, 5, 5), Verdict::stale);
    EXPECT_EQ(judged(type, Token::next, 5, 6), Verdict::keep_stated);
    EXPECT_EQ(judged(type, Token::automatic, 5, 5), Verdict::bump);
    EXPECT_EQ(judged(type, Token::automatic, 5, 6), Verdict::keep_stated);
    EXPECT_EQ(judged(type, Token::advance, 5, 5), Verdict::bump);
    EXPECT_EQ(judged(type, Token::advance, 5, 6), Verdict::keep_stated);
    EXPECT_EQ(judged(type, Token::advance, 5, 9), Verdict::keep_stated);
    for (const Token token : {Token::read, Token::next, Token::automatic})
        EXPECT_EQ(judged(type, token, 5, 9), Verdict::stale) << name_of(token);
    for (const Token token : all_tokens)
        EXPECT_EQ(judged(type, token, 5, 4), Verdict::stale) << name_of(token);
}

TYPED_TEST(CounterTest, AClientMayWrapToTheMinimum)
{
    constexpr TypeParam max = std::numeric_limits<TypeParam>::max();
    constexpr TypeParam min = std::numeric_limits<TypeParam>::min();
    const Counter<TypeParam> type;

    for (const Token token : {Token::next, Token::automatic, Token::advance}) {
        EXPECT_EQ(judged(type, token, max, min), Verdict::keep_stated) << name_of(token);
        EXPECT_EQ(judged(type, token, max, 1), Verdict::keep_stated) << name_of(token);
    }
    EXPECT_EQ(judged(type, Token::read, max, min), Verdict::stale);
    for (const Token token : all_tokens) {
        EXPECT_EQ(judged(type, token, max, min + 1), Verdict::stale) << name_of(token);
        EXPECT_EQ(judged(type, token, max - 1, min), Verdict::stale) << name_of(token);
    }
    EXPECT_EQ(type.next(min), min + 1);
}

TYPED_TEST(CounterTest, EchoMayBeKept)
{
    const Counter<TypeParam> type;

    for (const Token token : {Token::read, Token::automatic, Token::advance})
        EXPECT_EQ(judged(type, token, 5, 5, Echo::keep), Verdict::keep_stored) << name_of(token);
    EXPECT_EQ(judged(type, Token::next, 5, 5, Echo::keep), Verdict::stale);
}

TEST(Null, EqualsNullAndIsStaleOverAVersion)
{
    const Counter<int> type;

    for (const Token token : {Token::read, Token::automatic, Token::advance})
        EXPECT_EQ(judge(type, token, Echo::bump, {}, {}), Verdict::bump);
    for (const Token token : all_tokens)
        EXPECT_EQ(judge(type, token, Echo::bump, {true, 5}, {}), Verdict::stale);
    EXPECT_EQ(judge(type, Token::automatic, Echo::bump, {}, {true, 1}), Verdict::keep_stated);
    EXPECT_EQ(judge(type, Token::automatic, Echo::bump, {}, {true, 2}), Verdict::stale);
    EXPECT_EQ(judge(type, Token::advance, Echo::bump, {}, {true, 0}), Verdict::keep_stated);
    EXPECT_EQ(next_version(type, {}, {}), 1);
}

constexpr std::int64_t second = 1000000;

ClockReadings
readings(std::initializer_list<std::int64_t> times)
{
    ClockReadings result;
    for (const std::int64_t time : times)
        result.add(time);
    return result;
}

constexpr std::int64_t transaction_start = 1000 * second + 123456;
constexpr std::int64_t statement_start = 1005 * second + 654321;

Timestamps
timestamps(std::int32_t typmod = -1, std::int64_t precision = 1)
{
    Timestamps type;
    type.resolution = Timestamps::resolution_of(typmod);
    type.precision = precision;
    type.clock.starts = readings({transaction_start, statement_start});
    return type;
}

TEST(TimestampVersion, AdvancesWhateverTheClockDoes)
{
    const Timestamps type = timestamps();

    EXPECT_EQ(type.next(5, {.now = 9}), 9) << "the clock is ahead";
    EXPECT_EQ(type.next(5, {.now = 6}), 6);
    EXPECT_EQ(type.next(5, {.now = 5}), 6) << "the clock stands still";
    EXPECT_EQ(type.next(5, {.now = -100}), 6) << "the clock went back";
    EXPECT_EQ(type.next(-5, {.now = -100}), -4) << "before 2000";
    EXPECT_EQ(type.first({.now = 9}), 9);
}

TEST(TimestampVersion, MovesByTheUnitOfItsTypmod)
{
    EXPECT_EQ(timestamps(3).next(5000, {.now = 0}), 6000);
    EXPECT_EQ(timestamps(3).next(5000, {.now = 7999}), 7000)
        << "a version is never ahead of the clock";
    EXPECT_EQ(timestamps(0).next(5 * second, {.now = 0}), 6 * second);
    EXPECT_EQ(timestamps(0).first({.now = -1}), -second);
}

TEST(TimestampVersion, MovesByTheTimePrecision)
{
    const Timestamps type = timestamps(-1, 1000);

    EXPECT_EQ(type.next(5123, {.now = 5200}), 6123);
    EXPECT_GT(type.truncated(type.next(5123, {.now = 5200})), type.truncated(5123));
    EXPECT_EQ(type.next(5123, {.now = 6500}), 6500);
    EXPECT_EQ(timestamps(0, 1000).next(second, {.now = 0}), 2 * second)
        << "the coarser unit counts";
}

TEST(TimestampVersion, EndOfTime)
{
    const Timestamps type = timestamps();

    EXPECT_EQ(type.next(Timestamps::end - 2, {.now = 7}), Timestamps::end - 1);
    EXPECT_EQ(type.next(Timestamps::end - 1, {.now = 7}), 7);
    EXPECT_EQ(timestamps(0).next(Timestamps::end - second, {.now = 7 * second}), 7 * second);
}

TEST(TimestampVersion, RoundsAsPostgreSQLDoes)
{
    EXPECT_EQ(timestamps(3).rounded(1499), 1000);
    EXPECT_EQ(timestamps(3).rounded(1500), 2000);
    EXPECT_EQ(timestamps(3).rounded(-1499), -1000);
    EXPECT_EQ(timestamps(3).rounded(-1500), -2000);
    EXPECT_EQ(timestamps().rounded(-1501), -1501);
}

TEST(TimestampVersion, TruncatesTowardsThePast)
{
    EXPECT_EQ(Timestamps::floor_to(1999, 1000), 1000);
    EXPECT_EQ(Timestamps::floor_to(-1, 1000), -1000);
    EXPECT_EQ(Timestamps::floor_to(-1000, 1000), -1000);
}

TEST(TimestampVersion, ALaterTimeIsAStamp)
{
    const Timestamps type = timestamps();

    EXPECT_EQ(judged(type, Token::automatic, 5, 6), Verdict::unstated);
    EXPECT_EQ(judged(type, Token::advance, 5, 6), Verdict::keep_stated);
    EXPECT_EQ(judged(type, Token::read, 5, 6), Verdict::stale);
    for (const Token token : {Token::read, Token::automatic, Token::advance}) {
        EXPECT_EQ(judged(type, token, 5, 5), Verdict::bump);
        EXPECT_EQ(judged(type, token, 5, 4), Verdict::stale);
    }
}

TEST(TimestampVersion, TheStartOfTransactionOrStatementIsAStamp)
{
    const std::int64_t ahead = 2000 * second;

    for (const std::int32_t typmod : {-1, 6, 3}) {
        const Timestamps type = timestamps(typmod);
        for (const std::int64_t start : {transaction_start, statement_start}) {
            const std::int64_t stated = type.rounded(start);
            EXPECT_EQ(judged(type, Token::automatic, ahead, stated), Verdict::unstated);
            EXPECT_EQ(judged(type, Token::advance, ahead, stated), Verdict::bump);
            EXPECT_EQ(judged(type, Token::read, ahead, stated), Verdict::stale);
            EXPECT_EQ(judged(type, Token::automatic, ahead, stated - type.resolution),
                      Verdict::stale);
        }
    }
    /* Within a coarse unit an echo looks the same. */
    const Timestamps seconds = timestamps(0);
    EXPECT_EQ(judged(seconds, Token::automatic, ahead, seconds.rounded(statement_start)),
              Verdict::stale);
    const Timestamps precision = timestamps(-1, second);
    EXPECT_EQ(judged(precision, Token::automatic, ahead, statement_start), Verdict::stale);
}

TEST(TimestampVersion, AStartThatCanHaveBeenReadIsNoStamp)
{
    const std::int64_t ahead = 2000 * second;

    for (const std::int32_t typmod : {-1, 3}) {
        Timestamps type = timestamps(typmod);
        type.clock.committed = readings({transaction_start});
        EXPECT_EQ(judged(type, Token::automatic, ahead, type.rounded(transaction_start)),
                  Verdict::stale);
        EXPECT_EQ(judged(type, Token::advance, ahead, type.rounded(transaction_start)),
                  Verdict::stale);
        EXPECT_EQ(judged(type, Token::automatic, ahead, type.rounded(statement_start)),
                  Verdict::unstated);
    }
    /* In a column of milliseconds, what was committed within this one. */
    Timestamps type = timestamps(3);
    type.clock.committed = readings({statement_start - 10});
    EXPECT_EQ(judged(type, Token::automatic, ahead, type.rounded(statement_start)), Verdict::stale);
}

TEST(TimestampVersion, TruncatedEchoesAreEqual)
{
    const Timestamps type = timestamps(-1, 1000);

    EXPECT_EQ(judged(type, Token::read, 5123, 5000), Verdict::bump);
    EXPECT_EQ(judged(type, Token::read, 5123, 5999), Verdict::bump);
    EXPECT_EQ(judged(type, Token::read, 5123, 4999), Verdict::stale);
    EXPECT_EQ(judged(type, Token::read, 5123, 6000), Verdict::stale);
    EXPECT_EQ(judged(type, Token::read, -5123, -6000), Verdict::bump);
}

TEST(TimestampVersion, InfinityCountsAsNull)
{
    const Timestamps type = timestamps();

    for (const std::int64_t infinite : {Timestamps::infinity, Timestamps::minus_infinity}) {
        EXPECT_FALSE(type.present(infinite));
        EXPECT_EQ(judged(type, Token::advance, 5, infinite), Verdict::stale);
        EXPECT_EQ(judged(type, Token::advance, infinite, infinite), Verdict::stale);
        EXPECT_EQ(judged(type, Token::automatic, infinite, 5), Verdict::unstated);
        EXPECT_EQ(judge(type, Token::read, Echo::bump, {true, infinite}, {}), Verdict::bump);
        EXPECT_EQ(next_version(type, {true, infinite}, {.now = 9}), 9);
    }
}

TEST(EpochVersion, AdvancesByAMicrosecondOrTheNextDouble)
{
    const EpochSeconds type;

    EXPECT_EQ(type.next(5, {.now = 9 * second}), 9);
    EXPECT_EQ(type.next(1.6e9, {.now = 0}), 1.6e9 + 1e-6);
    EXPECT_EQ(type.next(1e300, {.now = 0}), std::nextafter(1e300, INFINITY));
    EXPECT_EQ(type.next(-1e300, {.now = -9000000 * second}), -9e6);
    EXPECT_EQ(type.next(std::numeric_limits<double>::max(), {.now = 7 * second}), 7);
}

TEST(EpochVersion, SuccessorIsTheNextDouble)
{
    for (const double t : {0.0, 1.0, -1.0, 1e-320, -1e-320, 1.7e9, 1e300, -1e300})
        EXPECT_EQ(EpochSeconds::successor(t), std::nextafter(t, INFINITY)) << t;
}

TEST(EpochVersion, NextIsNeverAnEcho)
{
    for (const double precision : {0.0, 0.001, 1.0}) {
        EpochSeconds type;
        type.precision = precision;
        type.clock.starts = readings({123 * second, 456 * second}); /* none of the versions below */
        for (const double stored : {0.0, -0.5, 1e-9, 1.7e9, 1.7e9 + 0.9999995, 4102444800.0005,
                                    9e15, 1e18, -1e18, 1e300}) {
            for (const std::int64_t now : {std::int64_t{0}, 1700000000 * second, -second}) {
                const double next = type.next(stored, {.now = now});
                EXPECT_GT(next, stored) << precision;
                EXPECT_EQ(type.standing(stored, next), Standing::behind)
                    << stored << ' ' << precision;
            }
        }
    }
}

TEST(EpochVersion, TruncationForgivesBinaryFractions)
{
    EpochSeconds type;
    type.precision = 0.001;

    /* A client keeps milliseconds: 0.123 of 0.123456 is not representable. */
    for (int ms = 0; ms < 1000; ms++) {
        const double truncated = static_cast<double>(1700000000000 + ms) / 1000;
        const double stored = static_cast<double>(1700000000000456 + 1000 * ms) / 1e6;
        EXPECT_EQ(type.standing(truncated, stored), Standing::equal) << ms;
        EXPECT_EQ(type.standing(truncated + 0.001, stored), Standing::stamp) << ms;
    }
}

TEST(EpochVersion, StampsAndNonNumbers)
{
    EpochSeconds type;
    type.clock.starts = readings({1700000000123456, 1700000001654321});

    EXPECT_EQ(judged(type, Token::automatic, 2e9, 1700000000.123456), Verdict::unstated);
    EXPECT_EQ(judged(type, Token::automatic, 2e9, 1700000001.654321), Verdict::unstated);
    EXPECT_EQ(judged(type, Token::automatic, 2e9, 1700000001.654322), Verdict::stale);
    EXPECT_EQ(judged(type, Token::advance, 2e9, 1700000001.654321), Verdict::bump);
    type.clock.committed = readings({1700000001654321});
    EXPECT_EQ(judged(type, Token::automatic, 2e9, 1700000001.654321), Verdict::stale);
    EXPECT_EQ(judged(type, Token::automatic, 2e9, 1700000000.123456), Verdict::unstated);
    for (const double t : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
        EXPECT_FALSE(type.present(t));
        EXPECT_EQ(judged(type, Token::advance, 5, t), Verdict::stale);
        EXPECT_EQ(judged(type, Token::advance, t, 5), Verdict::keep_stated);
        EXPECT_EQ(next_version(type, {true, t}, {.now = 9 * second}), 9);
    }
}

TEST(UuidVersion, IsRandomAndUnordered)
{
    const RandomUuid type;
    RandomUuid::value_type a = {};
    RandomUuid::value_type b = {};
    b[15] = 1;

    EXPECT_EQ(judged(type, Token::read, a, a), Verdict::bump);
    EXPECT_EQ(judged(type, Token::automatic, a, b), Verdict::stale);
    EXPECT_EQ(judged(type, Token::advance, a, b), Verdict::keep_stated);
    EXPECT_EQ(judge(type, Token::automatic, Echo::bump, {}, {true, b}), Verdict::stale);

    Fresh fresh;
    fresh.random.fill(0xff);
    const RandomUuid::value_type next = type.next(a, fresh);
    EXPECT_EQ(next[6], 0x4f) << "version 4";
    EXPECT_EQ(next[8], 0xbf) << "variant 1";
    EXPECT_EQ(next[0], 0xff);
}

}  // namespace
}  // namespace occ
