/*
 * Version arithmetic: what a version means, whether a stated one may pass,
 * and which one comes next.
 *
 * Pure: knows nothing of PostgreSQL, allocates nothing, raises nothing, so
 * that it can be tested without a server.  A version type is a small class
 * with these members, checked by the concept VersionType:
 *
 *   value_type        how a value is held
 *   present(v)        false for values that count as NULL (NaN, infinity)
 *   standing(a, s)    how the stated value a relates to the stored value s
 *   over_null(a)      the same when the stored version is NULL
 *   next(s, fresh)    the version after s; always one that s is stale for
 *   first(fresh)      the version after NULL
 *
 * To add a version type, write such a class here, name it in version_types.hpp.
 */
#ifndef OCC_VERSION_HPP
#define OCC_VERSION_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>

#include "policy.hpp"

namespace occ {

/* How a stated version relates to the stored one. */
enum class Standing : std::uint8_t {
    equal,     /* an echo: the client sends back what it read */
    next,      /* what the guard itself would store next */
    ahead,     /* beyond next */
    behind,    /* before the stored one */
    different, /* not equal, and the type has no order */
    stamp,     /* a clock reading later than the stored time */
    old_stamp, /* this transaction's own clock reading, but not later than the stored time */
};

/* What becomes of the version column of a row. */
enum class Verdict : std::uint8_t {
    bump,        /* store the next version */
    keep_stored, /* leave the stored version */
    keep_stated, /* store the client's value */
    unstated,    /* a clock stamp: nothing was said about what was read */
    stale,       /* refuse the row */
};

/* What a new version may draw on: the caller fills in what its type needs. */
struct Fresh {
    std::int64_t now = 0;                     /* microseconds, in the type's own epoch */
    std::array<std::uint8_t, 16> random = {}; /* for uuid */
};

/* clang-format 14 does not know concepts. */
/* clang-format off */
template <class T>
concept VersionType = requires(const T type, typename T::value_type v, Fresh fresh) {
    { type.present(v) } -> std::same_as<bool>;
    { type.standing(v, v) } -> std::same_as<Standing>;
    { type.over_null(v) } -> std::same_as<Standing>;
    { type.next(v, fresh) } -> std::same_as<typename T::value_type>;
    { type.first(fresh) } -> std::same_as<typename T::value_type>;
};
/* clang-format on */

/* A value that may be absent.  (std::optional is not trivially destructible for every T.) */
template <class V>
struct Maybe {
    bool has = false;
    V value = {};
};

/*
 * smallint, integer, bigint: a counter that starts at 1 and wraps to 1.  A
 * client that counts by itself may wrap to the type's minimum, as Java does.
 */
template <std::signed_integral I>
struct Counter {
    using value_type = I;
    static constexpr I minimum = std::numeric_limits<I>::min();
    static constexpr I maximum = std::numeric_limits<I>::max();

    static constexpr bool present(I) { return true; }
    static constexpr I first(const Fresh &) { return 1; }

    static constexpr I next(I stored, const Fresh & = {})
    {
        return stored == maximum ? I{1} : static_cast<I>(stored + 1);
    }

    static constexpr Standing standing(I stated, I stored)
    {
        if (stated == stored)
            return Standing::equal;
        if (stated == next(stored) || (stored == maximum && stated == minimum))
            return Standing::next;
        return stated > stored ? Standing::ahead : Standing::behind;
    }

    static constexpr Standing over_null(I stated)
    {
        return stated == 1 ? Standing::next : Standing::ahead;
    }
};

/* uuid: equal or not; the next one is random (RFC 9562, version 4). */
struct RandomUuid {
    using value_type = std::array<std::uint8_t, 16>;

    static constexpr bool present(const value_type &) { return true; }

    static constexpr value_type first(const Fresh &fresh)
    {
        value_type uuid = fresh.random;
        uuid[6] = static_cast<std::uint8_t>((uuid[6] & 0x0f) | 0x40);
        uuid[8] = static_cast<std::uint8_t>((uuid[8] & 0x3f) | 0x80);
        return uuid;
    }

    static constexpr value_type next(const value_type &, const Fresh &fresh)
    {
        return first(fresh);
    }

    static constexpr Standing standing(const value_type &stated, const value_type &stored)
    {
        return stated == stored ? Standing::equal : Standing::different;
    }

    static constexpr Standing over_null(const value_type &) { return Standing::different; }
};

/* A few clock readings, in microseconds of the type's epoch. */
class ClockReadings {
public:
    constexpr void add(std::int64_t reading) { readings_[count_++] = reading; }

    template <class Predicate>
    constexpr bool any(const Predicate &predicate) const
    {
        return std::any_of(readings_.begin(), readings_.begin() + count_, predicate);
    }

private:
    std::array<std::int64_t, 4> readings_ = {};
    int count_ = 0;
};

/*
 * What a statement knows of the clock.  A client that writes now() states a
 * start, which says nothing about what it has read, unless it can have read
 * that: a start of what is committed may be in a row.
 */
struct StatementClock {
    ClockReadings starts;    /* of the running transaction and statement */
    ClockReadings committed; /* the starts of what this session has committed last */

    /* Is a stated time a start that nobody can have read?  as_stored says what becomes of one. */
    template <class Value, class AsStored>
    constexpr bool is_unread_start(Value stated, const AsStored &as_stored) const
    {
        const auto is_stated = [&](std::int64_t reading) { return as_stored(reading) == stated; };
        return starts.any(is_stated) && !committed.any(is_stated);
    }
};

/*
 * What the two time types share: a stated time later than the stored one can
 * not have been read from the row, so it is a clock stamp; so is the start of
 * this very transaction or statement, if nobody can have read it.  Derived
 * supplies truncated(), next(), is_start(), floor_to() and second.
 */
template <class Derived, class Value>
struct TimeVersion {
    using value_type = Value;

    constexpr Standing standing(Value stated, Value stored) const
    {
        const auto &self = static_cast<const Derived &>(*this);
        const auto a = self.truncated(stated);
        const auto s = self.truncated(stored);

        if (a == s)
            return Standing::equal;
        if (a > s)
            return Standing::stamp;
        return self.is_start(stated) ? Standing::old_stamp : Standing::behind;
    }

    static constexpr Standing over_null(Value) { return Standing::stamp; }

    /*
     * May a stated time be the stamp of a clock of seconds, behind what was
     * stored within the same one?  It may be what was read, too.
     */
    static bool may_be_seconds(Value stated, Value stored)
    {
        return stored > stated && stated >= stored - Derived::second &&
               Derived::floor_to(stated, Derived::second) == stated;
    }
};

/* timestamp and timestamptz: microseconds, as PostgreSQL stores them. */
struct Timestamps : TimeVersion<Timestamps, std::int64_t> {
    static constexpr std::int64_t minus_infinity = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t infinity = std::numeric_limits<std::int64_t>::max();
    /* The first microsecond that PostgreSQL refuses: 294277-01-01 UTC. */
    static constexpr std::int64_t end = 9223371331200000000;
    static constexpr std::int64_t second = 1000000;

    std::int64_t resolution = 1; /* smallest step that the column's typmod can hold */
    std::int64_t precision = 1;  /* time_precision: finer differences don't count */
    StatementClock clock;

    /* The resolution of timestamp(typmod); a negative typmod stands for none. */
    static constexpr std::int64_t resolution_of(std::int32_t typmod)
    {
        std::int64_t unit = 1;
        for (std::int32_t digits = typmod < 0 ? 6 : typmod; digits < 6; digits++)
            unit *= 10;
        return unit;
    }

    static constexpr bool present(std::int64_t t) { return t != infinity && t != minus_infinity; }

    static constexpr std::int64_t floor_to(std::int64_t t, std::int64_t unit)
    {
        const std::int64_t rest = t % unit;
        return rest < 0 ? t - rest - unit : t - rest;
    }

    /* What a cast to the column's typmod makes of t: half away from zero, as PostgreSQL rounds. */
    constexpr std::int64_t rounded(std::int64_t t) const
    {
        const std::int64_t half = resolution / 2;
        return t >= 0 ? (t + half) / resolution * resolution
                      : -((-t + half) / resolution * resolution);
    }

    constexpr std::int64_t truncated(std::int64_t t) const { return floor_to(t, precision); }

    /* Within a unit coarser than a millisecond an echo looks the same as a stamp. */
    constexpr bool is_start(std::int64_t stated) const
    {
        return resolution <= 1000 && precision <= 1000 &&
               clock.is_unread_start(stated, [this](std::int64_t t) { return rounded(t); });
    }

    constexpr std::int64_t first(const Fresh &fresh) const
    {
        return floor_to(fresh.now, resolution);
    }

    constexpr std::int64_t next(std::int64_t stored, const Fresh &fresh) const
    {
        const std::int64_t step = std::max(resolution, precision);
        const std::int64_t now = first(fresh);

        return stored >= end - step ? now : std::max(now, stored + step);
    }
};

/* double precision: seconds since 1970. */
struct EpochSeconds : TimeVersion<EpochSeconds, double> {
    static constexpr double second = 1;

    double precision = 0; /* seconds; 0: every difference counts */
    StatementClock clock;

    static constexpr double seconds(std::int64_t microseconds)
    {
        return static_cast<double>(microseconds) / 1e6;
    }

    static constexpr bool present(double t) { return t - t == 0; }

    /*
     * The number of whole units in t.  Half a microsecond is added first: the
     * double nearest to a whole number of units may lie just below it.
     */
    double truncated(double t) const
    {
        return precision == 0 ? t : std::floor((t + 0.5e-6) / precision);
    }

    constexpr bool is_start(double stated) const
    {
        return precision <= 0.001 && clock.is_unread_start(stated, seconds);
    }

    static double floor_to(double t, double unit) { return std::floor(t / unit) * unit; }

    static constexpr double first(const Fresh &fresh) { return seconds(fresh.now); }

    double next(double stored, const Fresh &fresh) const
    {
        const double step = precision == 0 ? 1e-6 : precision;
        const double now = first(fresh);
        double after = std::max(now, stored + step);

        /* Far from zero a step is less than the distance between two doubles. */
        if (!(truncated(after) > truncated(stored)))
            after = std::max(successor(stored), (truncated(stored) + 1) * precision);
        while (present(truncated(after)) && !(truncated(after) > truncated(stored)))
            after = successor(after);
        return present(after) ? after : now;
    }

    /* The next representable double: std::nextafter is not constexpr before C++23. */
    static constexpr double successor(double t)
    {
        if (t == 0)
            return std::numeric_limits<double>::denorm_min();
        const auto bits = std::bit_cast<std::uint64_t>(t);
        return std::bit_cast<double>(t > 0 ? bits + 1 : bits - 1);
    }
};

/*
 * The verdict on a version that an UPDATE states.
 *
 * A stated NULL or infinity over a stored version is stale: neither can have
 * been read.  A stored infinity counts as NULL, and any version that is stated
 * over it repairs it, also where it would not pass over NULL: in a NOT NULL
 * column there is no other way.
 */
template <VersionType T>
constexpr Verdict
judge(const T &type, Token token, Echo echo, const Maybe<typename T::value_type> &stored,
      const Maybe<typename T::value_type> &stated)
{
    const bool has_stored = stored.has && type.present(stored.value);
    Standing standing = Standing::equal;

    if (stated.has) {
        if (!type.present(stated.value))
            return Verdict::stale;
        if (stored.has && !has_stored && token == Token::read)
            return Verdict::bump;
        standing =
            has_stored ? type.standing(stated.value, stored.value) : type.over_null(stated.value);
    }
    else if (has_stored)
        return Verdict::stale;

    switch (standing) {
    case Standing::equal:
        if (token == Token::next)
            return Verdict::stale;
        return echo == Echo::bump ? Verdict::bump : Verdict::keep_stored;
    case Standing::next:
        return token == Token::read ? Verdict::stale : Verdict::keep_stated;
    case Standing::ahead:
    case Standing::different:
        return token == Token::advance ? Verdict::keep_stated : Verdict::stale;
    case Standing::stamp:
        if (token == Token::advance)
            return Verdict::keep_stated;
        return token == Token::automatic ? Verdict::unstated : Verdict::stale;
    case Standing::old_stamp:
        if (token == Token::advance)
            return Verdict::bump;
        return token == Token::automatic ? Verdict::unstated : Verdict::stale;
    case Standing::behind:
        break;
    }
    return Verdict::stale;
}

/* The version that follows the stored one, NULL included. */
template <VersionType T>
constexpr typename T::value_type
next_version(const T &type, const Maybe<typename T::value_type> &stored, const Fresh &fresh)
{
    return stored.has && type.present(stored.value) ? type.next(stored.value, fresh)
                                                    : type.first(fresh);
}

}  // namespace occ

#endif
