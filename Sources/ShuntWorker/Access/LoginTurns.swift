import Dispatch
import ShuntAccess
import ShuntCore
import Synchronization

/// Threads that check credentials one after the other, which takes up to milliseconds of a processor each: no loop does.
final class LoginTurns: Sendable {
    typealias Check = @Sendable () -> Void

    private struct State {
        var queue = LoginQueue<Check>()
        /// Threads that work.
        var working = 0
    }

    private let state = Mutex(State())
    private let threads: Int
    private let pool = DispatchQueue(label: "shunt.logins", qos: .utility, attributes: .concurrent)

    init(threads: Int) { self.threads = max(1, threads) }

    /// Calls `check` when it is the client's turn.
    /// - Returns: false where too many wait.
    func add(from address: PeerAddress, isKnown: Bool, _ check: @escaping Check) -> Bool {
        let isIn: Bool, isNew: Bool
        (isIn, isNew) = state.withLock { state in
            guard state.queue.add(check, from: address, isKnown: isKnown) else { return (false, false) }
            guard state.working < threads else { return (true, false) }
            state.working += 1
            return (true, true)
        }
        if isNew { pool.async { [self] in work() } }
        return isIn
    }

    /// Calls `resume` after a time.
    /// - Returns: false where too many attempts for the user are held.
    func hold(_ user: String, seconds: Double, _ resume: @escaping Check) -> Bool {
        guard state.withLock({ $0.queue.hold(user) }) else { return false }
        pool.asyncAfter(deadline: .now() + seconds) { [self] in
            state.withLock { $0.queue.release(user) }
            resume()
        }
        return true
    }

    private func work() {
        while let check = next() { check() }
    }

    private func next() -> Check? {
        state.withLock { state in
            let check = state.queue.next()
            if check == nil { state.working -= 1 }
            return check
        }
    }
}
