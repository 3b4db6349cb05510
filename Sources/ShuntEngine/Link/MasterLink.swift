import ExchangeCodec
import ShuntCore

/// A worker's connection to its masters: tries the addresses of its list for ever, and sends heartbeats to the one that answers.
///
/// A value: events in, actions out. The driver calls `tick` about ten times a second.
public struct MasterLink: Sendable {
    public enum Action: Equatable, Sendable {
        case connect(to: String)
        case send([UInt8])
        /// Ask for the worker's figures and call `heartbeat`.
        case report
        case close(why: String)
        /// The link is up: tell this master all that the worker holds.
        case joined(master: String)
        case lost(master: String, why: String)
    }

    enum State: Equatable, Sendable {
        case waiting(until: Double)
        case connecting
        case connected(Connected)
        /// Closing, or told to stop.
        case stopped
    }

    struct Connected: Equatable, Sendable {
        var nextReport: Double
        /// Heartbeats sent since one was answered, and when the first of them was.
        var unanswered = 0
        var heardAt: Double
        var hasJoined = false
    }

    private(set) var state: State
    private let masters: [String]
    private let interval: Double
    /// The place in `masters` that is tried, or used.
    private var place = 0
    private var failures = 0
    private var nextID: UInt64 = 0

    /// The longest wait between two attempts, in seconds.
    static let longestWait = 5.0

    /// - Parameters:
    ///   - masters: `host:port`, tried in turn. Not empty.
    ///   - interval: seconds between heartbeats.
    public init(masters: [String], interval: Double, now: Double) {
        self.masters = masters
        self.interval = interval
        state = masters.isEmpty ? .stopped : .waiting(until: now)
    }

    /// The master that is used or tried.
    public var master: String { masters.isEmpty ? "" : masters[place % masters.count] }

    /// Whether a master has answered a heartbeat on the present connection.
    public var isUp: Bool {
        if case .connected(let connected) = state { return connected.hasJoined }
        return false
    }

    // MARK: Events

    public mutating func tick(now: Double) -> [Action] {
        switch state {
        case .waiting(let until) where now >= until:
            state = .connecting
            return [.connect(to: master)]
        case .connected(var connected):
            // Three heartbeats without an answer, and the time for them: the master is gone, whatever TCP thinks.
            if connected.unanswered >= 3, now - connected.heardAt > 3 * interval {
                return [.close(why: "no answer to \(connected.unanswered) heartbeats")]
            }
            guard now >= connected.nextReport else { return [] }
            connected.nextReport = now + interval
            state = .connected(connected)
            return [.report]
        case .waiting, .connecting, .stopped:
            return []
        }
    }

    public mutating func connected(now: Double) -> [Action] {
        guard state == .connecting else { return [] }
        state = .connected(Connected(nextReport: now + interval, heardAt: now))
        return [.report]
    }

    /// The figures that `report` asked for.
    public mutating func heartbeat(_ body: HeartbeatBody, now: Double) -> [Action] {
        guard case .connected(var connected) = state else { return [] }
        connected.unanswered += 1
        state = .connected(connected)
        let frame = Frame(
            .ping, id: makeID(now: now), format: .json, value: body.encoded(), name: HeartbeatBody.frameName)
        return [.send(frame.encoded())]
    }

    /// A frame from the master.
    public mutating func received(_ frame: Frame, now: Double) -> [Action] {
        guard case .connected(var connected) = state, frame.type == .acknowledgement else { return [] }
        connected.heardAt = now
        connected.unanswered = 0
        defer { state = .connected(connected) }
        guard !frame.isError, !connected.hasJoined else { return [] }
        connected.hasJoined = true
        failures = 0
        return [.joined(master: master)]
    }

    /// The attempt failed, or the connection closed.
    /// - Parameter random: 0..<1; workers that lose one master together should not come back together.
    public mutating func closed(why: String, now: Double, random: Double) -> [Action] {
        guard state != .stopped else { return [] }
        let lost: [Action] = isUp ? [.lost(master: master, why: why)] : []
        // A master that was there may be back at once; one that can't be reached is passed over for the next.
        if lost.isEmpty { place = (place + 1) % masters.count }
        let rounds = failures / masters.count
        failures += 1
        let wait = min(Self.longestWait, 0.2 * Double(1 << min(rounds, 10)))
        state = .waiting(until: now + wait * (0.5 + random / 2))
        return lost
    }

    /// The worker ends.
    public mutating func stop() { state = .stopped }

    /// Ids of frames that this side starts: seconds, a flag that no client's generator makes (§7), and a counter.
    private mutating func makeID(now: Double) -> Int64 {
        nextID &+= 1
        return Int64(bitPattern: UInt64(max(0, now)) << 32 | 63 << 16 | nextID & 0xFFFF)
    }
}
