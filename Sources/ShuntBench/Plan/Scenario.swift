import ShuntCore

/// A load by its name in emqtt-bench's manner: `p2p-1K-1K-1K-1K` are 1,000 publishers, 1,000 subscribers, 1,000 messages a second in, 1,000
/// out.
public struct Scenario: Equatable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// Each publisher has a topic, and each topic a subscriber.
        case pairs = "p2p"
        /// All subscribers get all messages.
        case fanOut = "fanout"
        /// Publishers have a topic each; each subscriber takes the topics of its share of them.
        case fanIn = "fanin"
        /// Subscribers share the messages of all publishers.
        case sharedSubscription = "sharedsub"
    }

    public let kind: Kind
    public let publishers: Int
    public let subscribers: Int
    /// Messages a second that the broker gets.
    public let perSecond: Int

    static let maximumClients = 1_000_000
    static let maximumRate = 100_000_000
    public static let form = """
        KIND-PUBLISHERS-SUBSCRIBERS-IN-OUT, as in p2p-1K-1K-1K-1K, fanout-1-1K-1-1K, fanin-1K-1-1K-1K, sharedsub-1K-5-1K-1K; \
        IN and OUT are messages a second
        """

    /// - Throws: `usage` that says what is wrong with the name.
    public init(_ name: String) throws(ShuntError) {
        func wrong(_ what: String, _ help: String = Self.form) -> ShuntError { ShuntError(.usage, what, at: "'\(name)'", help: help) }
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        guard let kind = Kind(rawValue: parts[0].lowercased()) else {
            throw wrong("a scenario begins with \(Kind.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard parts.count == 5 else { throw wrong("a scenario has four numbers after its kind, and this one \(parts.count - 1)") }
        var numbers: [Int] = []
        for part in parts.dropFirst() {
            guard let number = Quantity.parse(part), number > 0 else {
                throw wrong("'\(part)' is no number above 0", "a whole number, perhaps with K or M, as in 500, 1K, 1.5M")
            }
            numbers.append(number)
        }
        (self.kind, publishers, subscribers, perSecond) = (kind, numbers[0], numbers[1], numbers[2])
        guard publishers <= Self.maximumClients, subscribers <= Self.maximumClients else {
            throw wrong("more than \(Quantity.text(Self.maximumClients)) clients", "fewer publishers or subscribers")
        }
        guard perSecond <= Self.maximumRate else {
            throw wrong("more than \(Quantity.text(Self.maximumRate)) messages a second", "--rate max for as many as there can be")
        }
        if let problem = Self.problem(kind, publishers, subscribers) { throw wrong(problem.what, problem.help) }
        let out = perSecond * copies
        guard numbers[3] == out else {
            throw wrong(
                "an IN of \(Quantity.text(perSecond)) makes an OUT of \(Quantity.text(out)), and not \(Quantity.text(numbers[3]))",
                "'\(self.name)'")
        }
    }

    private static func problem(_ kind: Kind, _ publishers: Int, _ subscribers: Int) -> (what: String, help: String)? {
        switch kind {
        case .pairs where publishers != subscribers:
            ("p2p has as many subscribers as publishers", "for other numbers: fanout, fanin, sharedsub")
        case .fanIn where subscribers > publishers:
            ("fanin has no more subscribers than publishers", "fanout sends each message to all subscribers")
        case .fanOut where publishers * subscribers > SequenceAccounts.maximumFlows:
            ("publishers times subscribers are more than \(Quantity.grouped(SequenceAccounts.maximumFlows)) accounts", "fewer publishers")
        default: nil
        }
    }

    /// How often a message goes out.
    public var copies: Int { kind == .fanOut ? subscribers : 1 }

    /// The name in its shortest form.
    public var name: String {
        let numbers = [publishers, subscribers, perSecond, perSecond * copies]
        return kind.rawValue + numbers.map { "-" + Quantity.text($0) }.joined()
    }

    // Who talks to whom

    /// Whether a message of this publisher is meant for this subscriber.
    @inline(__always)
    func isMeant(_ publisher: Int, for subscriber: Int) -> Bool {
        switch kind {
        case .pairs: publisher == subscriber
        case .fanIn: publisher % subscribers == subscriber
        case .fanOut, .sharedSubscription: true
        }
    }

    /// The topic of a publisher; as long as any other publisher's.
    func topic(of publisher: Int, prefix: String) -> String {
        switch kind {
        case .pairs, .sharedSubscription: "\(prefix)/\(Self.digits(publisher, publishers))"
        case .fanOut: "\(prefix)/all"
        case .fanIn: "\(prefix)/\(Self.digits(publisher % subscribers, subscribers))/\(Self.digits(publisher, publishers))"
        }
    }

    func filter(of subscriber: Int, prefix: String) -> String {
        switch kind {
        case .pairs, .fanOut: topic(of: subscriber, prefix: prefix)
        case .fanIn: "\(prefix)/\(Self.digits(subscriber, subscribers))/+"
        case .sharedSubscription: "$share/bench/\(prefix)/+"
        }
    }

    /// As many digits as the largest number below `count` has.
    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, String(count - 1).utf8.count - text.utf8.count)) + text
    }
}
