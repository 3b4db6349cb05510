import Glibc

/// Times for measuring.
public enum LoadClock {
    /// Nanoseconds of the monotonic clock.
    @inline(__always)
    public static func now() -> Int { read(CLOCK_MONOTONIC) }

    /// Nanoseconds that the calling thread has taken of a processor.
    public static func threadProcessorTime() -> Int { read(CLOCK_THREAD_CPUTIME_ID) }

    /// Seconds of the monotonic clock.
    public static func seconds() -> Double { Double(now()) * 1e-9 }

    /// Processor seconds that this process has taken.
    public static func processorSeconds() -> Double { Double(read(CLOCK_PROCESS_CPUTIME_ID)) * 1e-9 }

    @inline(__always)
    private static func read(_ clock: clockid_t) -> Int {
        var time = timespec()
        clock_gettime(clock, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// Times that follow one another by `every` seconds, whatever happens between them.
public struct Ticks {
    private var next = timespec()
    private let every: Int

    public init(every seconds: Double) {
        every = Int(seconds * 1e9)
        clock_gettime(CLOCK_MONOTONIC, &next)
    }

    /// Sleeps until the next of them.
    public mutating func wait() {
        next.tv_nsec += every
        next.tv_sec += next.tv_nsec / 1_000_000_000
        next.tv_nsec %= 1_000_000_000
        while clock_nanosleep(CLOCK_MONOTONIC, Int32(TIMER_ABSTIME), &next, nil) == EINTR {}
    }
}
