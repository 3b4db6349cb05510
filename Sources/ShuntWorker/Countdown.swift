import Synchronization

/// Counts answers that come on any thread.
final class Countdown: Sendable {
    private let missing: Atomic<Int>

    init(_ count: Int) { missing = Atomic(count) }

    /// Another answer has come.
    /// - Returns: whether it is the last one.
    func isLast() -> Bool { missing.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
}
