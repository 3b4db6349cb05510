import ExchangeCodec
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntReactor

/// How fast the clients of a listener may publish.
struct Pace: Sendable {
    /// A second, and at once; 0: any number.
    private let messages: Int
    private let bytes: Int

    /// nil where they may publish as fast as they like.
    init?(_ limits: Configuration.Worker.ListenerLimits) {
        guard limits.messagesPerSecond > 0 || limits.bytesPerSecond > 0 else { return nil }
        (messages, bytes) = (limits.messagesPerSecond, limits.bytesPerSecond)
    }

    /// Of one client: what a rule says counts in place of what its listener does.
    init?(_ listener: Pace?, _ own: ClientPace?) {
        (messages, bytes) = (own?.messages ?? listener?.messages ?? 0, own?.bytes ?? listener?.bytes ?? 0)
        guard messages > 0 || bytes > 0 else { return nil }
    }

    func limit(now: Double) -> RateLimit {
        func bucket(_ count: Int) -> TokenBucket? { count > 0 ? TokenBucket(rate: Double(count), burst: Double(count), now: now) : nil }
        return RateLimit(messages: bucket(messages), bytes: bucket(bytes), policy: .hold)
    }
}

/// The clients of a loop that may publish only so fast: what each may still send, and which are not read from until they may again.
struct PacedClients {
    private var limits: [ConnectionID: RateLimit] = [:]
    private var waiting: [(client: ConnectionID, until: Double)] = []
    /// How often a client had to wait.
    private(set) var holds = 0

    /// What a client may send now, of what has come from it.
    struct Portion {
        /// Bytes to take: whole frames, or all where the last one is incomplete.
        var count: Int
        /// Seconds to wait after these.
        var wait: Double
        fileprivate var limit: RateLimit
    }

    /// How much of a client's bytes is taken before it has to wait.
    /// - Parameter now: seconds of a clock that never goes back.
    func portion(of bytes: Bytes, from client: ConnectionID, of listener: ListenerSetup, _ pace: Pace, now: Double) -> Portion {
        var portion = Portion(count: 0, wait: 0, limit: limits[client] ?? pace.limit(now: now))
        let smallest = listener.speaks == .exchange ? FrameLayout.headerSize : 1
        while bytes.count - portion.count >= smallest {
            let rest = Bytes(rebasing: bytes[portion.count...])
            let frame = listener.framing.measure(rest)
            guard frame.length <= rest.count else { break }
            portion.count += frame.length
            guard frame.kind != .answer, case .hold(let wait) = portion.limit.take(bytes: frame.length, now: now) else { continue }
            portion.wait = wait
            return portion
        }
        portion.count = bytes.count
        return portion
    }

    /// A portion was taken.
    /// - Returns: whether the client is not to be read from for now.
    mutating func took(_ portion: Portion, from client: ConnectionID, now: Double) -> Bool {
        limits[client] = portion.limit
        guard portion.wait > 0 else { return false }
        waiting.append((client, now + portion.wait))
        holds += 1
        return true
    }

    mutating func closed(_ client: ConnectionID) { if !limits.isEmpty { limits[client] = nil } }

    /// The clients that still wait.
    var held: some Sequence<ConnectionID> { waiting.lazy.map(\.client) }

    /// The clients that are to be read from again.
    mutating func due(now: Double) -> [ConnectionID] {
        guard !waiting.isEmpty else { return [] }
        let due = waiting.filter { $0.until <= now }.map(\.client)
        if !due.isEmpty { waiting.removeAll { $0.until <= now } }
        return due
    }
}
