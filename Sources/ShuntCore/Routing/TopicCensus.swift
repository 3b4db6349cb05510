/// Finds the busiest topics of one loop: some topics at a time, while messages come.
public struct TopicCensus: Sendable {
    struct Found: Sendable {
        var topic: [UInt8]
        var load: TopicLoad
        var measure: Double

        func isBefore(_ other: Found) -> Bool {
            measure != other.measure ? measure > other.measure : topic.lexicographicallyPrecedes(other.topic)
        }
    }

    /// Topics that are looked at in one turn of a loop.
    static let portion = 4_096

    private let question: TopicQuestion
    /// More than are asked for: another loop may add to what stands further down.
    private let limit: Int
    fileprivate var next = 0
    /// All have been looked at.
    public fileprivate(set) var isOver = false
    private var most: [Found] = []
    /// Those with less are not among the first.
    private var least = -Double.infinity
    fileprivate var sum = TrafficCount()
    fileprivate var topics = 0

    public init(_ question: TopicQuestion) {
        self.question = question
        limit = min(4 * question.bounded, TopicQuestion.maximumLimit)
    }

    fileprivate mutating func add(_ topic: Bytes, _ load: TopicLoad) {
        topics += 1
        sum += load.total
        let measure = load.measure(question)
        guard measure > least else { return }
        most.append(Found(topic: Array(topic), load: load, measure: measure))
        guard most.count >= 2 * limit else { return }
        most = first
        least = most.last?.measure ?? least
    }

    /// The busiest first.
    var first: [Found] { Array(most.sorted { $0.isBefore($1) }.prefix(limit)) }
}

/// The busiest topics of a worker, put together of what its loops have found.
///
/// A topic may be published on several loops. Each loop names its busiest; of these names the worker then asks every loop for the topic's
/// counters, so that the numbers of an answer are whole.
public struct TopicRanking: Sendable {
    private let question: TopicQuestion
    private var loads: [[UInt8]: TopicLoad] = [:]
    private var sum = TrafficCount()
    private var counted = 0

    public init(_ question: TopicQuestion) { self.question = question }

    /// A loop has looked at its topics.
    public mutating func add(_ census: TopicCensus) {
        for found in census.first { loads[found.topic, default: TopicLoad()] += found.load }
        sum += census.sum
        counted = max(counted, census.topics)
    }

    /// The topics that may be among those that are asked for.
    public var candidates: [[UInt8]] { ranked(min(4 * question.bounded, TopicQuestion.maximumLimit)).map(\.topic) }

    /// What all loops have counted of the candidates stands in the place of what was found.
    public mutating func set(_ counted: [[UInt8]: TopicLoad]) { loads = counted }

    private func ranked(_ limit: Int) -> [TopicCensus.Found] {
        let all = loads.map { TopicCensus.Found(topic: $0.key, load: $0.value, measure: $0.value.measure(question)) }
        return Array(all.sorted { $0.isBefore($1) }.prefix(limit))
    }

    public var record: TopicsRecord {
        var bytes = 0
        let first = ranked(question.bounded).prefix { one in
            bytes += one.topic.count
            return bytes <= IndexCensus.maximumBytes
        }
        return TopicsRecord(
            topics: first.map { TopicsRecord.Topic(topic: String(decoding: $0.topic, as: UTF8.self), $0.load) }, counted: counted,
            messages: sum.messages, bytes: sum.bytes, recipients: sum.recipients)
    }
}

extension SubscriptionIndex {
    /// Where the router counts messages.
    public var counters: TopicCounters { table.counters }

    /// Time has passed.
    /// - Parameter now: seconds since 1970.
    public func tickTraffic(now: Double) { table.counters.periods.tick(now: now) }

    /// Goes on with a census.
    public func look(_ census: inout TopicCensus) {
        let end = min(census.next + TopicCensus.portion, table.routes.count)
        while census.next < end {
            defer { census.next += 1 }
            guard table.routes[census.next].topic != RouteTable.noTopic else { continue }
            let load = table.counters[census.next].load(in: table.counters.periods)
            // An operator may have asked about a topic that nobody has published.
            guard load.total.messages > 0 || load.total.recipients > 0 else { continue }
            table.withTopic(of: census.next) { census.add($0, load) }
        }
        guard census.next >= table.routes.count else { return }
        census.sum += table.past
        census.isOver = true
    }

    /// What this loop has counted of some topics.
    public func loads(of topics: [[UInt8]]) -> [[UInt8]: TopicLoad] {
        var loads: [[UInt8]: TopicLoad] = [:]
        for topic in topics {
            let place = topic.withUnsafeBytes { table.find($0, ByteHash.of($0)) }
            if let place { loads[topic] = table.counters[Int(place)].load(in: table.counters.periods) }
        }
        return loads
    }
}
