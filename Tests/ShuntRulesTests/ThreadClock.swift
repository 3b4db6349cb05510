import Glibc

/// Processor time of this thread: what a busy machine does to others is not in it.
struct ThreadClock {
    private let started = Self.now()

    var milliseconds: Double { Self.now() - started }

    private static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) * 1000 + Double(time.tv_nsec) / 1e6
    }
}
