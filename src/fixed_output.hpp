/* Values as text, whatever the settings of the session. */
#ifndef OCC_FIXED_OUTPUT_HPP
#define OCC_FIXED_OUTPUT_HPP

#include "pg.hpp"

namespace occ {

/*
 * What a type's output function makes of a value under fixed settings
 * (DateStyle, TimeZone and the like), in the server's encoding: the same in
 * every session.  The idea is that of postgres_fdw, which fixes them for what
 * it sends.
 */
const char *fixed_output(Datum value, Oid type);

/* On which settings a type's text depends. */
enum class TextSettings : std::uint8_t {
    none,
    formats,  /* DateStyle and the like */
    monetary, /* lc_monetary */
    all,      /* these, and how names are looked up: an extension's type may print some */
};

/*
 * Set those under which text reads back as the same value in every session, as
 * a function's SET clause does it, so that an error undoes it, and parallel
 * workers may.  Not TimeZone: where it counts, it is printed.  Nothing is done
 * if the session has them as they should be, as it mostly has.  Give the result
 * to reset_settings().
 */
int set_portable_settings(TextSettings settings);
void reset_settings(int nest_level);

/* The output function of a type. */
struct TextOutput {
    FmgrInfo function;
    TextSettings settings;
};

/* That of a type, in the current memory context, which must outlive it. */
TextOutput text_output(Oid type);

/* A value as text that every session reads back as that value. */
char *portable_text(TextOutput *output, Datum value);

}  // namespace occ

#endif
