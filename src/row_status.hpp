/*
 * What became of a row, in the DETAIL of a conflict and in the results of the
 * set functions.  Pure: see version.hpp.
 */
#ifndef OCC_ROW_STATUS_HPP
#define OCC_ROW_STATUS_HPP

#include "policy.hpp"

namespace occ {

enum class RowStatus : std::uint8_t {
    missing, /* no row that the user can see has that key */
    stale,   /* the row is not as the caller read it */
    checked, /* it is, and was left as it is */
    updated,
    deleted,
};

template <>
inline constexpr std::array<std::string_view, 5> names_of<RowStatus> = {
    "missing", "stale", "checked", "updated", "deleted"};

constexpr bool
is_conflict(RowStatus status)
{
    return status == RowStatus::missing || status == RowStatus::stale;
}

}  // namespace occ

#endif
