import ExchangeCodec
import SeededRandom
import ShuntCore
import ShuntEngine
import Testing

@Suite("Which worker gets the next client")
struct WorkerOrderTests {
    typealias Load = WorkerOrder.Load

    @Test(
        "Room first, then connections, requests, their bytes, the name",
        arguments: [
            ([("b", Load(connections: 1)), ("a", Load(connections: 2))], "b,a"),
            ([("b", Load(connections: 1)), ("a", Load(connections: 1))], "a,b"),
            ([("a", Load(isFull: true, connections: 0)), ("b", Load(connections: 9))], "b,a"),
            ([("a", Load(isFull: true, connections: 2)), ("b", Load(isFull: true, connections: 1))], "b,a"),
            ([("a", Load(connections: 1, requests: 2)), ("b", Load(connections: 1, requests: 1, requestBytes: 9))], "b,a"),
            ([("a", Load(connections: 1, requestBytes: 2)), ("b", Load(connections: 1, requestBytes: 1))], "b,a"),
            ([("a", Load(connections: 1)), ("b", Load(connections: 2)), ("a", Load(connections: 3))], "b,a"),
            ([("é", Load(connections: 1)), ("e\u{301}", Load(connections: 1))], "e\u{301},é"),
            ([], ""),
        ] as [([(String, Load)], String)])
    func order(loads: [(String, Load)], list: String) {
        var order = WorkerOrder()
        for (name, load) in loads { order.set(name, load) }
        #expect(order.list.utf8.elementsEqual(list.utf8))
        #expect(order.names.joined(separator: ",").utf8.elementsEqual(list.utf8))
        #expect(order.first == order.names.first)
    }

    @Test("Whatever comes, the order is the one that sorting gives", arguments: 0..<20)
    func random(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        var order = WorkerOrder()
        var naive: [String: Load] = [:]
        for _ in 0..<2000 {
            let name = "w\(Int.random(in: 0..<40, using: &random))"
            if Int.random(in: 0..<5, using: &random) == 0 {
                order.remove(name)
                naive[name] = nil
            } else {
                let load = Load(
                    isFull: Int.random(in: 0..<6, using: &random) == 0, connections: Int.random(in: 0..<6, using: &random),
                    requests: Int.random(in: 0..<3, using: &random), requestBytes: Int.random(in: 0..<3, using: &random))
                order.set(name, load)
                naive[name] = load
            }
            let sorted = naive.sorted { left, right in
                left.value == right.value ? ExactText(left.key) < ExactText(right.key) : left.value < right.value
            }
            #expect(order.names == sorted.map(\.key))
            #expect(order.count == naive.count)
        }
    }

    @Test("Clients that were sent count until the worker's figures count them, or until they ask again")
    func handedOut() {
        var given = HandedOut()
        let first = given.add(now: 10)
        #expect(given.add(now: 10.05) == first)
        let second = given.add(now: 10.3)
        #expect(given.count == 3 && second != first)
        given.settle(0.5, now: 10.5)
        #expect(given.count == 3, "those that came at 10.05 may be on their way")
        given.settle(0.5, now: 10.7)
        #expect(given.count == 1)
        given.remove(first)
        #expect(given.count == 1, "it was counted before")
        given.remove(second)
        #expect(given == HandedOut())
        for step in 0..<100_000 { _ = given.add(now: Double(step)) }
        #expect(given.count == 100_000)
        given.settle(0.5, now: -1)
        #expect(given.count == 0, "the clock was set back")
    }

    @Test("Clients that come between two heartbeats go to workers as if each heartbeat had come at once", arguments: 0..<10)
    func spreads(seed: Int) throws {
        var random = SplitMix(seed: UInt64(seed))
        var directory = WorkerDirectory(liveFor: 20)
        var counts: [String: Int] = [:]
        for number in 0..<9 {
            let connections = Int.random(in: 0..<30, using: &random)
            var body = HeartbeatBody(serverName: "w\(number)", serverPort: 1, createdTime: 1_000_000)
            body.figures.connections = connections
            _ = try directory.heartbeat(body, source: "", now: 1000)
            counts["w\(number):1"] = connections
        }
        for _ in 0..<3000 {
            let least = counts.min { ($0.value, $0.key) < ($1.value, $1.key) }?.key
            let chosen = try #require(directory.leastLoaded)
            #expect(chosen == least)
            _ = directory.give(chosen, now: 1000 + Double.random(in: 0..<3, using: &random))
            counts[chosen, default: 0] += 1
        }
    }

    @Test("Workers that drain or are lost get no clients, and get some when they are back")
    func leaves() throws {
        var directory = WorkerDirectory(liveFor: 20)
        func beat(_ name: String, isDraining: Bool = false, now: Double) throws {
            _ = try directory.heartbeat(
                HeartbeatBody(
                    serverName: name, serverPort: 1, createdTime: Int64(now * 1000),
                    shunt: ShuntExtension(version: "t", boot: "1", isDraining: isDraining)), source: "", now: now)
        }
        try beat("a", now: 1000)
        try beat("b", now: 1000)
        try beat("a", isDraining: true, now: 1001)
        _ = directory.give("a:1", now: 1001)
        #expect(directory.allocation == ["b:1"])
        try beat("a", now: 1010)
        for second in 1011...1021 { _ = directory.tick(now: Double(second)) }
        #expect(directory.allocation == ["a:1"])
        try beat("b", now: 1022)
        // The client that a was given has not come within 20 s, and counts no more.
        #expect(directory.allocation == ["a:1", "b:1"])
    }
}
