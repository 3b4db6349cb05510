// What Linux has for the load generator and Swift's Glibc module leaves out.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/// The calling thread sleeps to the nanosecond, not to slices of 50 µs.
static inline void load_sleep_exactly(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

/// A file in memory; -1 and errno.
static inline int load_memory_file(void) { return (int)syscall(SYS_memfd_create, "load", 0U); }

/// Linux's own congestion control, whatever the machine has: BBR paces what is sent, on loopback too.
static inline void load_do_not_pace(int descriptor) { setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5); }
