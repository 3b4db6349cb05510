import ShuntCore

/// Makes guesses slow: a client that has guessed wrong several times waits for its turn, longer each time. Bounded.
public struct GuessDelays: Sendable {
    private struct Guesser {
        var failures = 0
        var failedAt: Double
        /// When its next guess may be looked at.
        var next: Double
    }

    private var guessers: [PeerAddress: Guesser] = [:]
    /// When those that are to be forgotten were last looked for.
    private var clearedAt = -Double.infinity

    /// Wrong guesses that cost nothing.
    static let free = 5
    /// The longest time between two guesses, and the longest that one waits for its turn, in seconds.
    static let longest = 5.0
    /// Seconds after the last wrong guess in which it is forgotten.
    static let memory = 60.0
    /// Addresses that are remembered; all others share what one of them has done.
    static let capacity = 4096
    /// Stands for all addresses beyond these.
    private static let others = PeerAddress(high: 0, low: 0)

    public init() {}

    /// - Parameter now: seconds, of a clock that is never set back.
    /// - Returns: the seconds to wait before the guess is looked at; nil if too many wait already.
    public mutating func turn(of source: String, now: Double) -> Double? {
        let key = key(of: source)
        guard var guesser = guessers[key] else { return 0 }
        guard now - guesser.failedAt < Self.memory else {
            guessers[key] = nil
            return 0
        }
        let delay = Self.delay(after: guesser.failures)
        guard delay > 0 else { return 0 }
        let turn = max(now, guesser.next)
        guard turn - now <= Self.longest else { return nil }
        guesser.next = turn + delay
        guessers[key] = guesser
        return turn - now
    }

    public mutating func failed(_ source: String, now: Double) {
        if guessers.count >= Self.capacity, now - clearedAt >= 1 {
            guessers = guessers.filter { now - $0.value.failedAt < Self.memory }
            clearedAt = now
        }
        var key = key(of: source)
        if guessers[key] == nil, guessers.count >= Self.capacity { key = Self.others }
        var guesser = guessers[key] ?? Guesser(failedAt: now, next: now)
        guesser.failures += 1
        guesser.failedAt = now
        guesser.next = max(guesser.next, now + Self.delay(after: guesser.failures))
        guessers[key] = guesser
    }

    var count: Int { guessers.count }

    static func delay(after failures: Int) -> Double {
        failures < free ? 0 : min(longest, 0.1 * Double(1 << min(failures - free, 10)))
    }

    /// A network of IPv6 is one guesser: it has more addresses than anybody remembers.
    private func key(of source: String) -> PeerAddress {
        guard let address = PeerAddress(host: source) else { return Self.others }
        let one = address.isIPv4 ? PeerAddress(high: address.high, low: address.low) : PeerAddress(high: address.high, low: 0)
        return guessers[one] == nil && guessers.count >= Self.capacity && guessers[Self.others] != nil ? Self.others : one
    }
}
