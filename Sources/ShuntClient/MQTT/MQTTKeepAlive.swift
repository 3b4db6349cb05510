import ShuntCore

/// When a client says PINGREQ (5.0 §3.12): so that it is heard within its keep alive, and to find out whether a silent broker is there.
struct MQTTKeepAlive: Equatable, Sendable {
    enum Action: Equatable { case wait, ping, close }

    /// Three quarters of the keep alive: a check a little later is still in time. nil: no pings.
    private let interval: Duration?
    /// How long an answer may take.
    private let patience: Duration
    private var lastSent: Duration
    private var lastHeard: Duration
    private var pinged: Duration?
    /// While the application is slow nothing is read, and silence says nothing about the broker.
    private var isPaused = false

    /// - Parameter seconds: the keep alive; 0: none.
    init(seconds: UInt16, patience: Duration, now: Duration) {
        interval = seconds == 0 ? nil : .seconds(Int(seconds)) * 3 / 4
        self.patience = patience
        lastSent = now
        lastHeard = now
    }

    mutating func sent(at now: Duration) { lastSent = now }

    mutating func heard(at now: Duration) {
        lastHeard = now
        pinged = nil
    }

    mutating func paused(_ isPaused: Bool, at now: Duration) {
        self.isPaused = isPaused
        heard(at: now)
    }

    mutating func check(at now: Duration) -> Action {
        guard let interval else { return .wait }
        if isPaused { heard(at: now) }
        if let pinged, now - pinged >= patience { return .close }
        guard now - lastSent >= interval || (pinged == nil && now - lastHeard >= interval) else { return .wait }
        if pinged == nil { pinged = now }
        return .ping
    }
}
