import Foundation
import ShuntCore
import ShuntRules

/// Nanoseconds per call of the rules' hooks, budgets armed, as the router calls them: the best of several rounds.
/// `rules-bench [plugins]`: the directory with topic-router.
struct RuleBenchmark {
    let directory = NSTemporaryDirectory() + "shunt-rules-bench-" + UUID().uuidString
    let object =
        #"{"id":184467,"region":"eu","customer":{"uid":"c-1029","name":"Ada Byron","tags":["gold","beta"]},"#
        + #""items":[{"sku":"A-1","qty":2,"price":19.99},{"sku":"B-7","qty":1,"price":5.5}],"paid":true,"note":null}"#

    func run(plugins: String) throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try measure("empty hook", rule: "return { on_message = function() end }")
        try measure("topic comparison", rule: #"return { on_message = function(m) if m.topic == "b" then return route.drop() end end }"#)
        try measure("pattern match of the topic", rule: #"return { on_message = function(m) if m.topic:match("^orders/(%d+)$") then end end }"#)
        try measure(
            "JSON field, \(object.utf8.count) bytes",
            rule: #"return { on_message = function(m) local o = m:json() if o.region == "us" then return route.drop() end end }"#)
        try measure("route.to", rule: #"return { on_message = function(m) return route.to("x") end }"#)
        try measure("msg:with of a topic", rule: #"return { on_message = function(m) return m:with { topic = "x" } end }"#)
        try measure("sender's uid", rule: #"return { on_message = function(m) if m.sender.uid == "b" then return route.drop() end end }"#)
        try measure(
            "topic-router, by topic",
            set: RuleSet.load(
                directory: plugins, enabled: .names(["topic-router"]),
                settings: ["topic-router": ["routes": [["topic": "orders/+", "to": "eu/orders/{2}"]]]]))
        try measure(
            "topic-router, by payload",
            set: RuleSet.load(
                directory: plugins, enabled: .names(["topic-router"]),
                settings: ["topic-router": ["routes": [["topic": "orders/+", "when": ["region": "eu"], "to": "{region}/orders"]]]]))
        try measureMatch()
    }

    func measure(_ name: String, rule: String) throws {
        let folder = directory + "/" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder + "/bench", withIntermediateDirectories: true)
        try rule.write(toFile: folder + "/bench/rule.lua", atomically: true, encoding: .utf8)
        try measure(name, set: RuleSet.load(directory: folder))
    }

    func measure(_ name: String, set: RuleSet) throws {
        let clients = OneClient()
        let rules = try LoopRules(
            set: set, worker: "bench", loop: 0, shared: try SharedStore(), log: { print($0.text) }, inflate: { _, _, _, _ in [] }, now: 0)
        rules.peers = clients
        withMessage { message in
            let selection = rules.selection(for: .topic, topic: message.topic)
            let nanoseconds = best { rounds in
                for _ in 0..<rounds { _ = rules.onMessage(message, selection: selection, now: 1) }
            }
            report(name, nanoseconds)
        }
    }

    func measureMatch() throws {
        let folder = directory + "/match"
        try FileManager.default.createDirectory(atPath: folder + "/bench", withIntermediateDirectories: true)
        try #"return { match = { topic = "customers/+" }, on_message = function() end }"#
            .write(toFile: folder + "/bench/rule.lua", atomically: true, encoding: .utf8)
        let rules = try LoopRules(
            set: RuleSet.load(directory: folder), worker: "bench", loop: 0, shared: try SharedStore(), log: { _ in },
            inflate: { _, _, _, _ in [] }, now: 0)
        withMessage { message in
            report(
                "a match that fails, asked anew",
                best { rounds in
                    for _ in 0..<rounds { _ = rules.selection(for: .topic, topic: message.topic) }
                })
        }
    }

    private func withMessage(_ body: (MessageView) -> Void) {
        Array("orders/184467".utf8).withUnsafeBytes { topic in
            Array(object.utf8).withUnsafeBytes { payload in
                body(
                    MessageView(
                        kind: .topic, topic: topic, key: nil, payload: payload, format: .json, id: 1,
                        sender: ConnectionID(loop: 0, slot: 1, generation: 1)))
            }
        }
    }

    private func best(_ body: (Int) -> Void) -> Double {
        let rounds = 20_000
        return (0..<40).map { _ in
            let started = processorTime()
            body(rounds)
            return Double(processorTime() - started) / Double(rounds)
        }.min() ?? 0
    }

    /// This thread's, in nanoseconds: other work of the machine is not in it.
    private func processorTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    private func report(_ name: String, _ nanoseconds: Double) {
        print(name.padding(toLength: 36, withPad: " ", startingAt: 0), (nanoseconds * 10).rounded() / 10, "ns")
    }
}

final class OneClient: PeerDirectory {
    private let client = Peer(
        id: ConnectionID(loop: 0, slot: 1, generation: 1), uid: "u1", device: "d1", protocolName: "exchange", address: "127.0.0.1:1",
        connectedAt: 0)
    func peer(_ id: ConnectionID) -> Peer? { client }
    func close(_ id: ConnectionID, why: String, by rule: String) {}
}

try RuleBenchmark().run(plugins: CommandLine.arguments.dropFirst().first ?? "plugins")
