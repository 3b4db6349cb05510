import Glibc

/// Time, handed in so that tests can say what time it is.
struct ClientClock: Sendable {
    /// The time since an arbitrary start; never runs backwards.
    var monotonic: @Sendable () -> Duration
    /// Milliseconds since 1970.
    var epoch: @Sendable () -> Int64

    var now: Duration { monotonic() }
    var milliseconds: Int64 { epoch() }

    static let system = ClientClock(
        monotonic: { read(CLOCK_MONOTONIC) },
        epoch: { Int64(read(CLOCK_REALTIME) / .milliseconds(1)) })

    private static func read(_ clock: clockid_t) -> Duration {
        var time = timespec()
        clock_gettime(clock, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
