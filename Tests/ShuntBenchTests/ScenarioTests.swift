import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntBench

@Suite("A scenario's name")
struct ScenarioNameTests {
    @Test(
        "says kind, clients and rates, and has a shortest form",
        arguments: [
            ("p2p-1K-1K-1K-1K", Scenario.Kind.pairs, 1000, 1000, 1000, "p2p-1K-1K-1K-1K"),
            ("fanout-1-1k-1-1K", .fanOut, 1, 1000, 1, "fanout-1-1K-1-1K"),
            ("FANOUT-5-1000-5-5000", .fanOut, 5, 1000, 5, "fanout-5-1K-5-5K"),
            ("fanin-1K-1-1K-1K", .fanIn, 1000, 1, 1000, "fanin-1K-1-1K-1K"),
            ("sharedsub-1K-5-1K-1K", .sharedSubscription, 1000, 5, 1000, "sharedsub-1K-5-1K-1K"),
            ("sharedsub-50K-500-1M-1M", .sharedSubscription, 50_000, 500, 1_000_000, "sharedsub-50K-500-1M-1M"),
            ("p2p-1.5K-1500-15-15", .pairs, 1500, 1500, 15, "p2p-1500-1500-15-15"),
        ])
    func right(name: String, kind: Scenario.Kind, publishers: Int, subscribers: Int, rate: Int, short: String) throws {
        let scenario = try Scenario(name)
        #expect(scenario.kind == kind)
        #expect((scenario.publishers, scenario.subscribers, scenario.perSecond) == (publishers, subscribers, rate))
        #expect(scenario.name == short)
        #expect(try Scenario(short) == scenario)
    }

    @Test(
        "is refused with what is wrong",
        arguments: [
            ("", "begins with"), ("p2p", "four numbers"), ("p2p-1-1-1", "four numbers"), ("p2p-1-1-1-1-1", "four numbers"),
            ("ptp-1-1-1-1", "begins with"), ("p2p-0-0-1-1", "'0' is no number"), ("p2p-1G-1G-1-1", "'1G' is no number"),
            ("p2p--1-1-1", "'' is no number"), ("p2p-1K-1K-x-1", "'x' is no number"), ("p2p-1.5-1-1-1", "'1.5' is no number"),
            ("p2p-1K-2K-1-1", "as many subscribers"), ("fanin-1-2-1-1", "no more subscribers"), ("fanout-1-1K-1-1", "makes an OUT of 1K, and not 1"),
            ("p2p-1-1-1-2", "makes an OUT of 1, and not 2"), ("p2p-2M-2M-1-1", "more than 1M clients"), ("fanout-5K-5K-1-5K", "accounts"),
            ("p2p-1-1-1000M-1000M", "more than 100M messages"), ("p2p-99999999999999999999-1-1-1", "is no number"),
        ])
    func wrong(name: String, problem: String) {
        let error = #expect(throws: ShuntError.self) { try Scenario(name) }
        #expect(error?.code == .usage)
        #expect(error?.description.contains(problem) == true, "\(String(describing: error))")
    }
}

@Suite("Who talks to whom")
struct RolesTests {
    /// Each publisher's topic, and the subscribers whose filter takes it.
    private func routes(_ name: String) throws -> [[Int]] {
        let scenario = try Scenario(name)
        return (0..<scenario.publishers).map { publisher in
            let topic = scenario.topic(of: publisher, prefix: "b/x").split(separator: "/")
            return (0..<scenario.subscribers).filter { subscriber in
                let filter = scenario.filter(of: subscriber, prefix: "b/x").replacing("$share/bench/", with: "").split(separator: "/")
                return filter.count == topic.count && zip(filter, topic).allSatisfy { $0 == "+" || $0 == $1 }
            }
        }
    }

    @Test(
        "is what the accounts expect",
        arguments: [
            ("p2p-12-12-1-1", 1), ("fanout-3-4-1-4", 4), ("fanin-11-3-1-1", 1), ("sharedsub-12-3-1-1", 3),
        ])
    func meant(name: String, each: Int) throws {
        let scenario = try Scenario(name)
        for (publisher, subscribers) in try routes(name).enumerated() {
            #expect(subscribers == (0..<scenario.subscribers).filter { scenario.isMeant(publisher, for: $0) })
            #expect(subscribers.count == each)
        }
    }

    @Test("all topics of a scenario have one length", arguments: ["p2p-1K-1K-1-1", "fanin-101-11-1-1", "fanout-11-2-1-2", "sharedsub-1001-2-1-1"])
    func length(name: String) throws {
        let scenario = try Scenario(name)
        #expect(Set((0..<scenario.publishers).map { scenario.topic(of: $0, prefix: "p").utf8.count }).count == 1)
    }

    private func settings(_ name: String, threads: Int) throws -> LoadSettings {
        var settings = LoadSettings(.messages(.init(try Scenario(name))), broker: HostPort("127.0.0.1", 1883), prefix: "p", seed: 0xAB)
        settings.threads = threads
        return settings
    }

    @Test("a shared subscription's members are on one thread, publishers on all others", arguments: [1, 2, 3])
    func threads(count: Int) throws {
        let settings = try settings("sharedsub-6-4-1-1", threads: count)
        let roles = Roles(settings: settings)
        let threads = (0..<settings.connections).map { roles.thread(of: $0) }
        #expect(Set(threads[..<4]) == [0])
        #expect(Set(threads[4...]) == Set(count == 1 ? [0] : Array(1..<count)))
        #expect(roles.role(of: 3) == .subscriber(3) && roles.role(of: 4) == .publisher(0))
    }

    @Test("client identifiers are distinct, and have letters and digits that every broker takes")
    func clientIDs() throws {
        let settings = try settings("p2p-1-1-1-1", threads: 1)
        #expect(settings.clientID(0) == "bench000000ab0000000")
        #expect(Set((0..<2000).map { settings.clientID($0) }).count == 2000)
        #expect(settings.clientID(1_999_999).utf8.count <= 23)
    }

    @Test("what may be under way as fast as possible is bounded for all publishers together")
    func underWay() throws {
        var messages = LoadSettings.MessageSettings(try Scenario("fanout-1-1K-1-1K"))
        #expect(messages.deliveriesUnderWay == nil, "a pace bounds it")
        messages.perSecond = nil
        #expect(messages.deliveriesUnderWay == 262_000)
        var pairs = LoadSettings.MessageSettings(try Scenario("p2p-10-10-1-1"))
        pairs.perSecond = nil
        #expect(pairs.deliveriesUnderWay == 65_530)
        messages.inflight = 7
        #expect(messages.deliveriesUnderWay == 7000)
        messages.qos = .atLeastOnce
        #expect(messages.deliveriesUnderWay == nil, "acknowledgements bound it")
        #expect(messages.window == 7)
    }
}

@Suite("Numbers")
struct QuantityTests {
    @Test(
        "are read with K and M",
        arguments: [
            ("5", 5), ("1K", 1000), ("1k", 1000), ("1.5M", 1_500_000), ("2m", 2_000_000), ("0", 0), ("", nil), ("K", nil), ("1.5", nil), ("1.", nil),
            ("-1", nil), ("+1", nil), ("1 K", nil), ("1KK", nil), ("0x10", nil), ("1e3", nil), ("1.0001K", nil), ("0.5K", 500), ("٣", nil),
        ] as [(String, Int?)])
    func parse(text: String, number: Int?) { #expect(Quantity.parse(text) == number) }

    @Test("are written with commas", arguments: [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1234, "-1,234")])
    func grouped(number: Int, text: String) { #expect(Quantity.grouped(number) == text) }

    @Test(
        "of time have three digits and a unit that suits",
        arguments: [
            (0.25, "0.25 µs"), (9.99, "9.99 µs"), (9.996, "10.0 µs"), (41.26, "41.3 µs"), (412, "412 µs"), (999.6, "1.00 ms"), (1320, "1.32 ms"),
            (99_960, "100 ms"), (2_100_000, "2.10 s"), (1_234_000_000, "1,234 s"),
        ])
    func time(microseconds: Double, text: String) { #expect(Quantity.time(microseconds: microseconds) == text) }
}
