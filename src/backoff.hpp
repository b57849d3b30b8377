/*
 * How long to pause between attempts: exponential backoff with jitter.  Pure
 * arithmetic, in microseconds.
 */
#ifndef OCC_BACKOFF_HPP
#define OCC_BACKOFF_HPP

#include <cstdint>

namespace occ {

/* Both at least 0, and base not above max. */
struct Backoff {
    std::int64_t base;
    std::int64_t max;

    /* The longest pause after that many failed attempts: base, doubled each time, up to max. */
    constexpr std::int64_t ceiling(int failed) const
    {
        std::int64_t pause = base;

        for (int i = 1; i < failed && pause > 0 && pause < max; i++)
            pause = pause > max / 2 ? max : pause * 2;
        return pause;
    }

    /*
     * The pause itself, between half of the ceiling and all of it: clients that
     * have met once must not meet again at the same time.  random is from 0 to 1.
     */
    constexpr std::int64_t pause(int failed, double random) const
    {
        const std::int64_t longest = ceiling(failed);
        const std::int64_t shortest = longest / 2;

        return shortest +
               static_cast<std::int64_t>(random * static_cast<double>(longest - shortest));
    }
};

}  // namespace occ

#endif
