import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Messages on their way through rules")
struct RulePassageTests {
    private let rules = ScriptedRules()

    /// A worker whose one consumer takes everything, and what it got for a message to `topic`.
    private func publish(_ topic: String, limits: RoutingLimits = .init()) -> (answer: Frame?, got: [String]) {
        let worker = SimulatedWorker(limits: limits, hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        let answer = producer.ask(Frame(.message, id: 9, text: "text", name: topic, key: "k"))
        return (answer, consumer.received().map { "\($0.name ?? "-") \($0.text) \($0.key ?? "-") \($0.id)" })
    }

    @Test("A topic that no rule matches is not shown to rules")
    func unmatched() {
        #expect(publish("t").got == ["t text k 9"])
        #expect(rules.seen.isEmpty)
    }

    @Test("pass delivers it as it is, and what was emitted besides")
    func pass() {
        rules.script["t"] = .pass([.init(topic: "audit")])
        #expect(Set(publish("t").got) == ["t text k 9", "audit text k 9"])
    }

    @Test("A replaced payload keeps topic, key and id")
    func replace() {
        rules.script["t"] = .send([.init(text: "other")])
        #expect(publish("t").got == ["t other k 9"])
    }

    @Test("fanout delivers all, in order, the unchanged one as it came")
    func fanout() {
        rules.script["t"] = .send([.init(), .init(topic: "u"), .init(topic: "v", text: "w")])
        #expect(publish("t").got == ["t text k 9", "u text k 9", "v w k 9"])
    }

    @Test("drop delivers nothing and tells the sender nothing")
    func drop() {
        rules.script["t"] = .drop
        let result = publish("t")
        #expect(result.answer?.status == 200)
        #expect(result.got == [])
    }

    @Test("reject delivers nothing and tells the sender why")
    func reject() {
        rules.script["t"] = .reject("no order id")
        let result = publish("t")
        #expect(result.answer == Frame(acknowledging: 9, status: 403, text: "no order id"))
        #expect(result.got == [])
    }

    @Test("A message sent to another topic meets that topic's rules, except the one that sent it")
    func secondTopic() {
        rules.script["t"] = .send([.init(topic: "u", rule: 0)])
        rules.script["u"] = .send([.init(text: "seen by u", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        #expect(publish("t").got == ["u seen by u k 9"])
        #expect(rules.seen == ["t hops=0", "u hops=1"])
        // A subscription, and one message, however many calls it causes.
        #expect(rules.turns == 2)
    }

    @Test("A rule does not see what it sent on itself")
    func ownProduct() {
        rules.script["t"] = .send([.init(topic: "u", rule: 0)])
        rules.script["u"] = .send([.init(topic: "v", rule: 0)])
        #expect(publish("t").got == ["u text k 9"])
        #expect(rules.seen == ["t hops=0"])
    }

    @Test("Rules that send a message round and round are ended by limits.hops")
    func hops() {
        for number in 0..<10 {
            rules.script["t\(number)"] = .send([.init(topic: "t\(number + 1)", rule: UInt8(number))])
            rules.rulesOfTopic["t\(number)"] = [number]
        }
        #expect(publish("t0", limits: RoutingLimits(hops: 3)).got == [])
        #expect(rules.seen.count == 4)
        #expect(rules.beyondHops == [3], "it is the rule that sent it on last which is told of")
    }

    @Test(
        "A worker with as many rules as it can have is followed like any other: the last rule decides, and a topic without rules is no hop",
        arguments: [62, 63])
    func followed(place: Int) {
        rules.script["t"] = .send([.init(text: "redacted", rule: UInt8(place))])
        rules.script["away"] = .send([.init(topic: "u", rule: UInt8(place))])
        rules.script["on"] = .send([.init(topic: "t", rule: 0)])
        rules.rulesOfTopic = ["t": [place], "away": [place], "on": [0, place]]
        let worker = SimulatedWorker(limits: RoutingLimits(hops: 1), hooks: rules)
        var told: [TracedMessage] = []
        worker.engines[0].setTracer(MessageTracer([TraceRequest(topic: "#")], loop: 0, take: { told.append($1) }, skip: { _ in }))
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        for topic in ["t", "away", "on", "plain"] { _ = producer.ask(Frame(.message, id: 9, text: "text", name: topic, key: "k")) }
        #expect(consumer.received().map { "\($0.name ?? "-") \($0.text)" } == ["t redacted", "u text", "t redacted", "plain text"])
        #expect(rules.seen == ["t hops=0", "away hops=0", "on hops=0", "t hops=1"])
        #expect(told.map(\.topic) == ["t", "away", "on", "plain"] && told.map(\.recipients) == [1, 1, 1, 1])
        #expect(rules.beyondHops.isEmpty)
    }

    /// What a consumer of everything got for four messages to `t`, and the answer to the last.
    private func publishFour(_ worker: SimulatedWorker) -> (answer: Frame?, got: [String]) {
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        var answer: Frame?
        for id in 1...4 { answer = producer.ask(Frame(.message, id: Int64(id), text: "text \(id)", name: "t", key: id == 4 ? nil : "k")) }
        return (answer, consumer.received().map { "\($0.name ?? "-") \($0.text) \($0.key ?? "-") \($0.id)" })
    }

    @Test("What a rule always sends on goes there without the rule, with its own payload, key and id")
    func standingSend() {
        rules.script["t"] = .always(.send([.init(topic: "a/longer/topic")]), rule: 0)
        let result = publishFour(SimulatedWorker(hooks: rules))
        #expect(result.got == (1...4).map { "a/longer/topic text \($0) \($0 == 4 ? "-" : "k") \($0)" })
        #expect(result.answer?.status == 200)
        #expect(rules.seen == ["t hops=0"])
    }

    @Test("A fanout that stands delivers the message itself and to other topics, whose rules see it")
    func standingFanout() {
        rules.script["t"] = .always(.send([.init(), .init(topic: "u")]), rule: 0)
        rules.script["u"] = .send([.init(text: "seen by u", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        #expect(publishFour(SimulatedWorker(hooks: rules)).got.suffix(2) == ["t text 4 - 4", "u seen by u - 4"])
        #expect(rules.seen == ["t hops=0"] + Array(repeating: "u hops=1", count: 4))
    }

    @Test("What other rules make of messages that a verdict always sends on is forgotten with each message")
    func standingForgets() {
        rules.script["t"] = .always(.send([.init(topic: "u")]), rule: 0)
        rules.script["u"] = .send([.init(topic: "v", rule: 1), .init(topic: "w", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        let worker = SimulatedWorker(hooks: rules)
        #expect(publishFour(worker).got.suffix(2) == ["v text 4 - 4", "w text 4 - 4"])
        #expect(worker.engines[0].router.kept.size == 0)
    }

    @Test("Drop and reject stand too", arguments: [(true, 200), (false, 403)] as [(Bool, Int16)])
    func standingEnd(isDrop: Bool, status: Int16) {
        rules.script["t"] = .always(isDrop ? .drop : .reject("never"), rule: 0)
        let worker = SimulatedWorker(hooks: rules)
        let result = publishFour(worker)
        #expect(result.answer?.status == status)
        #expect(result.got == [])
        #expect(rules.seen.count == 1)
        #expect(worker.engines[0].output.figures.dropped == (isDrop ? 4 : 0))
    }

    @Test("A rule that passes all is not asked again, and what then comes first may stand")
    func passing() {
        rules.rulesOfTopic["t"] = [0, 1]
        rules.script["t"] = .passing([0])
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        func send() { _ = producer.ask(Frame(.message, id: 1, text: "x", name: "t")) }
        send()
        rules.script["t"] = .always(.send([.init(topic: "u", rule: 1)]), rule: 1)
        send()
        send()
        #expect(consumer.received().map(\.name) == ["t", "u", "u"])
        #expect(rules.seen.count == 2)
    }

    @Test("What comes after a rule that is asked each time does not stand")
    func notFirst() {
        rules.rulesOfTopic["t"] = [0, 1]
        rules.script["t"] = .always(.send([.init(topic: "u", rule: 1)]), rule: 1)
        #expect(publishFour(SimulatedWorker(hooks: rules)).got.count == 4)
        #expect(rules.seen.count == 4)
    }

    @Test("A subscription with wildcards changes no verdict; other rules do")
    func standingLasts() {
        rules.script["t"] = .always(.send([.init(topic: "u")]), rule: 0)
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        func send() { _ = producer.ask(Frame(.message, id: 1, text: "x", name: "t")) }
        _ = consumer.subscribe("#", group: "g")
        send()
        #expect(consumer.received().map(\.name) == ["u"])
        _ = consumer.subscribe("+", group: "h")
        send()
        #expect(consumer.received().map(\.name) == ["u", "u"])
        #expect(rules.seen.count == 1)
        rules.script["t"] = .pass()
        worker.engines[0].setHooks(rules)
        send()
        #expect(consumer.received().map(\.name) == ["t", "t"])
    }

    @Test("Rules that multiply what others have multiplied end at limits.fanout, all hops together")
    func multiplied() {
        for hop in 0..<3 {
            rules.script["t\(hop)"] = .send((0..<10).map { _ in .init(topic: "t\(hop + 1)", rule: UInt8(hop)) })
            rules.rulesOfTopic["t\(hop)"] = [hop]
        }
        let worker = SimulatedWorker(limits: RoutingLimits(fanout: 100), hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t3", group: "g")
        for _ in 0..<2 {
            #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t0"))?.status == 200)
            // Ten for t1; of the ninety that are left each ten at t1 come to as many at t2, which leaves less for t3.
            #expect((50...90).contains(consumer.received().count))
        }
    }

    @Test("Rules are told how many messages may still come of one: what has come of it before, hops together, is taken off")
    func room() {
        rules.script["t0"] = .send((0..<60).map { _ in .init(topic: "t1", rule: 0) })
        rules.script["t1"] = .send([.init(topic: "t2", rule: 1), .init(topic: "t2", rule: 1)])
        (rules.rulesOfTopic["t0"], rules.rulesOfTopic["t1"]) = ([0], [1])
        let worker = SimulatedWorker(limits: RoutingLimits(fanout: 100), hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t2", group: "g")
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t0"))?.status == 200)
        #expect(rules.rooms.prefix(3) == [100, 40, 38])
        #expect(rules.rooms.min() == 0)
    }

    @Test("A message that a rule sends where nobody listens is not lost silently")
    func nowhere() {
        rules.script["t"] = .send([.init(topic: "u")])
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("t", group: "g")
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t"))?.status == 500)
    }

    @Test("on_connect sees the first frame's sender, and can refuse or redirect it")
    func connect() {
        rules.connect = .reject(why: "not you")
        var worker = SimulatedWorker(hooks: rules)
        var client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1)) == Frame(acknowledging: 1, status: 403, text: "not you"))
        #expect(worker.closed[client.id] == .ruleRejected)
        #expect(rules.disconnected.isEmpty, "it was never let in")

        rules.connect = .redirect(to: "10.0.0.1:4091")
        worker = SimulatedWorker(hooks: rules)
        client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1)) == Frame(acknowledging: 1, status: 307, text: "10.0.0.1:4091"))

        rules.connect = .acceptAs(uid: "ada", tags: nil, alias: nil)
        worker = SimulatedWorker(hooks: rules)
        client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1))?.status == 200)
        #expect(worker.engines[0].peer(client.id)?.uid == "ada")
        worker.disconnect(client.id)
        #expect(rules.disconnected == ["ada"])
    }

    @Test("on_subscribe can refuse a subscription or change it")
    func subscribe() {
        rules.subscribe = .reject(why: "not that")
        let worker = SimulatedWorker(hooks: rules)
        let client = worker.connect()
        #expect(client.subscribe("secret", group: "g") == 403)
        rules.subscribe = .acceptAs(SubscriptionRequest(topic: "public", group: "g"))
        #expect(client.subscribe("secret", group: "g") == 200)
        #expect(client.ask(Frame(.message, id: 2, text: "x", name: "secret"))?.status == 500)
        client.publish("public", "x")
        #expect(client.texts() == ["x"])
    }
}
