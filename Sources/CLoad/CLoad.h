// What Linux has for the load generators and Swift's Glibc module leaves out.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/// The calling thread sleeps to the nanosecond, not to slices of 50 µs.
static inline void load_sleep_exactly(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

/// A file in memory; -1 and errno.
static inline int load_memory_file(void) { return (int)syscall(SYS_memfd_create, "load", 0U); }

/// Linux's own congestion control, whatever the machine has: BBR paces what is sent, on loopback too.
static inline void load_do_not_pace(int descriptor) { setsockopt(descriptor, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5); }

/// A TCP socket that does not block; -1 and errno.
static inline int load_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }

/// What is written goes out at once.
static inline void load_do_not_delay(int descriptor) {
    int yes = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

/// A local address is bound without a port; the kernel chooses one that is free towards the other end, once that is known.
static inline void load_bind_without_port(int descriptor) {
    int yes = 1;
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
}

/// Who waits until there is something to read is woken when so many bytes are there.
static inline void load_wake_at(int descriptor, int bytes) { setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes); }

/// How a connection that was begun has come out: 0, or a value of errno.
static inline int load_connect_error(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/// Waits for events, to the nanosecond; to the millisecond on a Linux before 5.11.
/// - Returns: how many there are; 0 when the time is over, or a signal came.
static inline int load_wait(int poll, struct epoll_event *events, int capacity, long nanoseconds) {
    struct timespec wait = {nanoseconds / 1000000000L, nanoseconds % 1000000000L};
    int count = epoll_pwait2(poll, events, capacity, &wait, 0);
    if (count < 0 && errno == ENOSYS) count = epoll_wait(poll, events, capacity, (int)((nanoseconds + 999999L) / 1000000L));
    return count < 0 ? 0 : count;
}
