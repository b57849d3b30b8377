/*
 * What becomes of a row's version: the verdict on what an UPDATE states, put
 * together with what its owner wants of updates that state none.
 *
 * Pure: see version.hpp.  The guard decides by this, and so does whatever
 * stands in for it.
 */
#ifndef OCC_DECISION_HPP
#define OCC_DECISION_HPP

#include "policy.hpp"
#include "version.hpp"

namespace occ {

/* The version that the row is written with. */
enum class WrittenVersion : std::uint8_t {
    stored,
    stated,
    next,
    none, /* the row is stale */
};

struct Decision {
    WrittenVersion written;
    bool unproven;  /* nothing says what was read, and the owner wants to know, or refuses it */
    bool ignorable; /* if nothing but ignored columns changed, the stored version stays */
};

/* What an UPDATE says of the version of a row. */
struct Claim {
    bool stated;  /* it names the column, or a trigger has changed the value */
    bool echo;    /* the value is, bit by bit, the stored one */
    bool checked; /* it is a query of ours, which has verified the row */
};

template <VersionType T>
constexpr Decision
decide(const T &type, const Policy &policy, const Claim &claim,
       const Maybe<typename T::value_type> &stored, const Maybe<typename T::value_type> &stated)
{
    const bool has_stored = stored.has && type.present(stored.value);
    const bool unproven = refuses_unstated(policy);

    if (!claim.stated) {
        if (policy.unstated == Unstated::keep)
            return {WrittenVersion::stored, false, false};
        return {WrittenVersion::next, unproven, true};
    }
    /* It states what it has read under a lock, even where nobody could state that. */
    if (claim.checked && claim.echo)
        return {WrittenVersion::next, false, has_stored};

    switch (judge(type, policy.token, policy.echo, stored, stated)) {
    case Verdict::bump:
        return {WrittenVersion::next, false, has_stored || !stated.has};
    case Verdict::keep_stored:
        return {WrittenVersion::stored, false, false};
    case Verdict::keep_stated:
        return {WrittenVersion::stated, false, false};
    case Verdict::unstated:
        if (has_stored && type.standing(stated.value, stored.value) == Standing::old_stamp)
            return {WrittenVersion::next, unproven, false};
        return {WrittenVersion::stated, unproven, false};
    case Verdict::stale:
        break;
    }
    return {WrittenVersion::none, false, false};
}

/* Was the next version stated where only the one that was read may be?  For the hint. */
template <VersionType T>
constexpr bool
states_next(const T &type, Token token, const Maybe<typename T::value_type> &stored,
            const Maybe<typename T::value_type> &stated)
{
    if (token != Token::read || !stated.has || !type.present(stated.value))
        return false;
    const bool has_stored = stored.has && type.present(stored.value);
    return (has_stored ? type.standing(stated.value, stored.value)
                       : type.over_null(stated.value)) == Standing::next;
}

/* Was a stamp of whole seconds stated, where a stamp may pass?  For the hint. */
template <VersionType T>
bool
states_seconds(const T &type, Token token, const Maybe<typename T::value_type> &stored,
               const Maybe<typename T::value_type> &stated)
{
    if constexpr (requires { type.may_be_seconds(stated.value, stored.value); })
        return token != Token::read && stored.has && stated.has && type.present(stored.value) &&
               type.present(stated.value) && type.may_be_seconds(stated.value, stored.value);
    else
        return false;
}

}  // namespace occ

#endif
