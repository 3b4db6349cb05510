import ShuntCore

/// How long changes wait until they are in the registry: of each transaction, the longest.
///
/// Rows that wait for a transaction of their own, after a storm, count from when they were taken for it.
struct WriteLag: Sendable {
    private(set) var times = TimeHistogram()
    /// When the oldest change came that waits, and the oldest of those that are being written.
    private var waitingSince: ContinuousClock.Instant?
    private var writingSince: ContinuousClock.Instant?

    mutating func submitted() { if waitingSince == nil { waitingSince = .now } }

    mutating func taken() {
        // Where writing has failed, it goes on being tried.
        if writingSince == nil { writingSince = waitingSince ?? .now }
        waitingSince = nil
    }

    mutating func written() {
        guard let since = writingSince else { return }
        times.add(since.duration(to: .now) / .seconds(1))
        writingSince = nil
    }

    /// Seconds that the oldest change has waited by now.
    var seconds: Double { ((writingSince ?? waitingSince)?.duration(to: .now) ?? .zero) / .seconds(1) }
}
