/* A value as text that is the same in every session. */
#ifndef OCC_FIXED_OUTPUT_HPP
#define OCC_FIXED_OUTPUT_HPP

#include "pg.hpp"

namespace occ {

/*
 * What a type's output function makes of a value under fixed settings
 * (DateStyle, TimeZone and the like), in the server's encoding.  The idea is
 * that of postgres_fdw, which fixes them for what it sends.
 */
const char *fixed_output(Datum value, Oid type);

}  // namespace occ

#endif
