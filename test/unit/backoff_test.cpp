/* Pauses between attempts, without a server: see src/backoff.hpp. */
#include "backoff.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace occ {
namespace {

constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();

TEST(Backoff, DoublesUpToTheMaximum)
{
    constexpr Backoff backoff = {5000, 1000000};

    EXPECT_EQ(backoff.ceiling(1), 5000);
    EXPECT_EQ(backoff.ceiling(2), 10000);
    EXPECT_EQ(backoff.ceiling(3), 20000);
    EXPECT_EQ(backoff.ceiling(8), 640000);
    EXPECT_EQ(backoff.ceiling(9), 1000000);
    EXPECT_EQ(backoff.ceiling(10), 1000000);
    EXPECT_EQ(backoff.ceiling(std::numeric_limits<int>::max()), 1000000);
}

TEST(Backoff, StaysWithinTheMaximumWhereDoublingWouldOverflow)
{
    constexpr Backoff backoff = {huge / 3, huge};

    EXPECT_EQ(backoff.ceiling(1), huge / 3);
    EXPECT_EQ(backoff.ceiling(2), huge / 3 * 2);
    EXPECT_EQ(backoff.ceiling(3), huge);
    EXPECT_EQ((Backoff{huge, huge}).ceiling(5), huge);
}

TEST(Backoff, PausesBetweenHalfOfThatAndAllOfIt)
{
    constexpr Backoff backoff = {5000, 1000000};

    EXPECT_EQ(backoff.pause(2, 0.0), 5000);
    EXPECT_EQ(backoff.pause(2, 0.5), 7500);
    EXPECT_EQ(backoff.pause(2, 1.0), 10000);
    EXPECT_EQ((Backoff{1, 1}).pause(1, 0.99), 0);
    EXPECT_EQ((Backoff{1, 1}).pause(1, 1.0), 1);
}

TEST(Backoff, ZeroIsNoPause)
{
    EXPECT_EQ((Backoff{0, 0}).pause(1, 0.9), 0);
    EXPECT_EQ((Backoff{0, 1000000}).pause(1000, 0.9), 0);
    EXPECT_EQ((Backoff{1000, 1000}).pause(1000, 1.0), 1000);
}

}  // namespace
}  // namespace occ
