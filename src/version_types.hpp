/*
 * Where the pure version types meet PostgreSQL's: how each is read from a
 * Datum and written back, and which clock it goes by.
 *
 * with_version_type() is the one switch over the types.
 */
#ifndef OCC_VERSION_TYPES_HPP
#define OCC_VERSION_TYPES_HPP

#include "clock.hpp"
#include "pg.hpp"
#include "relation.hpp"
#include "version.hpp"

namespace occ {

/* Converts between a Datum and T's value type; specialized for every type. */
template <class T>
struct Codec;

/* Compile-time check that both sides agree on what infinity and the end of time are. */
static_assert(Timestamps::infinity == DT_NOEND && Timestamps::minus_infinity == DT_NOBEGIN);
static_assert(Timestamps::end == END_TIMESTAMP);

template <>
struct Codec<Counter<int16>> {
    static int16 decode(Datum datum) { return DatumGetInt16(datum); }
    static Datum encode(int16 value) { return Int16GetDatum(value); }
};

template <>
struct Codec<Counter<int32>> {
    static int32 decode(Datum datum) { return DatumGetInt32(datum); }
    static Datum encode(int32 value) { return Int32GetDatum(value); }
};

template <>
struct Codec<Counter<int64>> {
    static int64 decode(Datum datum) { return DatumGetInt64(datum); }
    static Datum encode(int64 value) { return Int64GetDatum(value); }
};

template <>
struct Codec<Timestamps> {
    static int64 decode(Datum datum) { return DatumGetInt64(datum); }
    static Datum encode(int64 value) { return Int64GetDatum(value); }
};

template <>
struct Codec<EpochSeconds> {
    static double decode(Datum datum) { return DatumGetFloat8(datum); }
    static Datum encode(double value) { return Float8GetDatum(value); }
};

template <>
struct Codec<RandomUuid> {
    static RandomUuid::value_type decode(Datum datum)
    {
        RandomUuid::value_type value;
        memcpy(value.data(), DatumGetUUIDP(datum)->data, value.size());
        return value;
    }

    static Datum encode(const RandomUuid::value_type &value)
    {
        auto *uuid = static_cast<pg_uuid_t *>(palloc(sizeof(pg_uuid_t)));
        memcpy(uuid->data, value.data(), value.size());
        return UUIDPGetDatum(uuid);
    }
};

/* A version that may be NULL. */
template <class T>
Maybe<typename T::value_type>
decode_maybe(Datum datum, bool isnull)
{
    if (isnull)
        return {};
    return {true, Codec<T>::decode(datum)};
}

/* What a new version of this kind is made of.  Error: 58000 if there is no entropy. */
inline Fresh
fresh_for(VersionKind kind)
{
    Fresh fresh;

    if (is_time(kind))
        fresh.now = instant_of(kind, GetCurrentTimestamp());
    else if (kind == VersionKind::uuid) {
        if (!pg_strong_random(fresh.random.data(), fresh.random.size()))
            ereport(ERROR, errcode(ERRCODE_SYSTEM_ERROR),
                    errmsg("could not generate random values"));
    }
    return fresh;
}

/* Call action with the version type that the column holds. */
template <class Action>
inline auto
with_version_type(const VersionColumn &column, TimePrecision precision, const StatementClock &clock,
                  const Action &action)
{
    switch (column.kind) {
    case VersionKind::smallint:
        return action(Counter<int16>{});
    case VersionKind::integer:
        return action(Counter<int32>{});
    case VersionKind::bigint:
        return action(Counter<int64>{});
    case VersionKind::timestamp:
    case VersionKind::timestamptz: {
        Timestamps type;
        type.resolution = Timestamps::resolution_of(column.typmod);
        type.precision = precision == TimePrecision::us   ? 1
                         : precision == TimePrecision::ms ? 1000
                                                          : 1000000;
        type.clock = clock;
        return action(type);
    }
    case VersionKind::double_precision: {
        EpochSeconds type;
        type.precision = precision == TimePrecision::us   ? 0
                         : precision == TimePrecision::ms ? 0.001
                                                          : 1;
        type.clock = clock;
        return action(type);
    }
    case VersionKind::uuid:
        break;
    }
    return action(RandomUuid{});
}

/* Does a value count as a version?  An infinite time counts as NULL. */
inline bool
is_present(const VersionColumn &column, Datum version)
{
    return with_version_type(column, TimePrecision::us, {}, [&]<class T>(const T &type) {
        return type.present(Codec<T>::decode(version));
    });
}

}  // namespace occ

#endif
