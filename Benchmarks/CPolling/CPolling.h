// What Linux has for the load generator and Swift's Glibc module leaves out.
#include <sys/epoll.h>
#include <sys/prctl.h>

/// The calling thread sleeps to the nanosecond, not to slices of 50 µs.
static inline void sleep_exactly(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }
