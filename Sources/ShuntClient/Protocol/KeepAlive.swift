/// Finds out whether a silent connection is dead: after an idle time it asks with PING, and without any answer it closes
/// (exchange protocol §13.3).
struct KeepAlive: Equatable, Sendable {
    enum Action: Equatable { case check(after: Duration), ping(thenCheckAfter: Duration), close }

    let idle: Duration
    /// How long an answer may take.
    let patience: Duration
    /// Since an arbitrary start, as all times here.
    private var lastHeard: Duration
    private var pinged: Duration?

    init(idle: Duration, patience: Duration, now: Duration) {
        self.idle = idle
        self.patience = patience
        lastHeard = now
    }

    /// Something has arrived, or reading goes on after a pause in which nothing could arrive.
    mutating func heard(at now: Duration) {
        lastHeard = now
        pinged = nil
    }

    mutating func check(at now: Duration) -> Action {
        if let pinged {
            let left = pinged + patience - now
            return left > .zero ? .check(after: left) : .close
        }
        let left = lastHeard + idle - now
        guard left <= .zero else { return .check(after: left) }
        pinged = now
        return .ping(thenCheckAfter: patience)
    }
}
