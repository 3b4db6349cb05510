import Dispatch
import Synchronization

/// Loops that have loaded another version of the rules wait for each other, so that none decides by it before all have it.
final class LoopAgreement: Sendable {
    private let state: Mutex<(missing: Int, isRefused: Bool, isOver: Bool)>
    private let end = DispatchSemaphore(value: 0)
    private let loops: Int
    /// Seconds that a loop waits, and its clients with it: as long as `on_load` may take. One that waits longer goes on, and may have to go back.
    private static let patience = 1.0

    init(of loops: Int) {
        self.loops = loops
        state = Mutex((loops, false, false))
    }

    /// A loop calls this once it has loaded the version; it then waits for the other loops.
    /// - Returns: whether it is to decide by that version: false where another loop could not load it.
    func isReached() -> Bool {
        tell(isRefused: false)
        _ = end.wait(timeout: .now() + Self.patience)
        return !state.withLock(\.isRefused)
    }

    /// A loop could not load the version.
    func refuse() { tell(isRefused: true) }

    private func tell(isRefused: Bool) {
        let ends = state.withLock { state in
            state.missing -= 1
            if isRefused { state.isRefused = true }
            guard !state.isOver, state.isRefused || state.missing == 0 else { return false }
            state.isOver = true
            return true
        }
        if ends { for _ in 0..<loops { end.signal() } }
    }
}
