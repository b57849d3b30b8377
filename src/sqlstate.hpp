/* The SQLSTATEs of our own.  See docs/errors.md for when each is raised. */
#ifndef OCC_SQLSTATE_HPP
#define OCC_SQLSTATE_HPP

#include "pg.hpp"

namespace occ::sqlstate {

/* A write stated a version that is not the stored one.  PostgREST answers HTTP 409. */
inline constexpr int conflict = MAKE_SQLSTATE('P', 'T', '4', '0', '9');

/* A write stated no version where one is required: HTTP 428. */
inline constexpr int version_required = MAKE_SQLSTATE('P', 'T', '4', '2', '8');

}  // namespace occ::sqlstate

#endif
