import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("What rules send of their own, or later, and dead letters")
struct OwnMessageTests {
    private let rules = OwnRules()

    private func texts(_ client: SimulatedClient) -> [String] {
        client.received().filter { $0.type == .message }.map { "\($0.name ?? "-") \($0.text)" }
    }

    @Test("A message of a rule's own meets the rules of its topic, except the one that sent it, and reaches both protocols")
    func own() {
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let (consumer, watcher) = (worker.connect(loop: 1), SimulatedMQTTClient(worker, "w"))
        _ = consumer.subscribe("#", group: "g")
        _ = watcher.subscribe("#")
        _ = rules.takeTold()
        rules.script["events"] = [.init(topic: "elsewhere", rule: 1)]
        rules.sends = [.init(topic: "events"), .init(topic: "plain")]
        #expect(worker.connect().ask(Frame(.ping, id: 1))?.status == 200)
        #expect(rules.takeTold() == ["connect", "events 2 hops=1"])
        #expect(texts(consumer) == ["elsewhere made", "plain made"])
        #expect(watcher.messages() == ["elsewhere: made", "plain: made"])
    }

    @Test("Messages are sent in on_subscribe, on_register, on_disconnect and on_tick, too")
    func hooks() {
        rules.wanted = [.register, .tick]
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, client) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        rules.sends = [.init(topic: "subscribed")]
        #expect(client.ask(Frame(.ping, id: 1))?.status == 200)
        rules.sends = [.init(topic: "registered")]
        #expect(client.register("ada") == 200)
        rules.sends = [.init(topic: "ticked")]
        worker.tick()
        rules.sends = [.init(topic: "left")]
        worker.disconnect(client.id)
        #expect(texts(consumer) == ["subscribed made", "registered made", "ticked made", "left made"])
    }

    @Test("What on_disconnect sends is not for the client that has gone: another member of its group gets it, or nobody")
    func disconnected() {
        let worker = deadLetters()
        let (dead, stays) = (worker.connect(), worker.connect())
        _ = dead.subscribe("dead", group: "g")
        for other in [true, false] {
            for number in 0..<4 {
                let leaver = worker.connect()
                if number % 2 == 0 { #expect(leaver.register("ada") == 200) }
                _ = leaver.subscribe("jobs", group: "g")
                if other, number == 0 { _ = stays.subscribe("jobs", group: "g") }
                rules.sends = [.init(topic: "jobs"), .init(topic: "ada", kind: .broadcast)]
                worker.disconnect(leaver.id)
            }
            #expect(texts(stays).count == (other ? 4 : 0))
            #expect(texts(dead).count == (other ? 4 : 8))
            worker.disconnect(stays.id)
        }
    }

    @Test("Where access is set, a rule's own messages go where its grants let them")
    func rights() {
        let worker = SimulatedWorker(hooks: rules)
        let consumer = worker.connect()
        _ = consumer.subscribe("#", group: "g")
        worker.engines[0].setAccess([ListenerAccess(asks: false, permissions: { _, _, _ in AccessTests.Denials([:]) })], now: worker.now)
        rules.granted = ["granted", "both"]
        rules.script["both"] = [.init(topic: "denied")]
        rules.sends = [.init(topic: "granted"), .init(topic: "denied"), .init(topic: "both", rule: 1), .init(topic: "later", delay: 1)]
        _ = worker.connect().ask(Frame(.ping, id: 1))
        worker.now += 2
        worker.tick()
        #expect(texts(consumer) == ["granted made"])
        #expect(worker.engines[0].output.figures.denied == 3)
        #expect(worker.engines[0].deniedExample.contains("the rule's grants"))
        #expect(rules.denied.sorted() == ["0 publish denied", "0 publish denied", "0 publish later"])
    }

    @Test("A delayed message of a rule's own that is denied takes no room of those that are not")
    func deniedDelays() {
        let worker = SimulatedWorker(hooks: rules)
        worker.engines[0].setAccess([ListenerAccess(asks: false, permissions: { _, _, _ in AccessTests.Denials([:]) })], now: worker.now)
        rules.sends = [.init(topic: "denied", delay: 1)]
        rules.room = (0, 0)
        _ = worker.connect().ask(Frame(.ping, id: 1))
        #expect(worker.engines[0].output.figures.denied == 1)
        #expect(rules.room.messages == worker.engines[0].limits.delayedMessages)
    }

    // MARK: delays

    @Test("A delayed message is answered 200, goes out when it is due, and does not meet the rule that delayed it")
    func delay() {
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        rules.script["t"] = [.init(topic: "t", text: "late", delay: 5)]
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t"))?.status == 200)
        #expect(worker.engines[0].output.figures.delayed == 1)
        #expect(rules.room.messages == 9_999)
        worker.now += 4.9
        worker.tick()
        #expect(texts(consumer) == [])
        _ = rules.takeTold()
        rules.script["t"] = nil
        rules.select = { _, _ in nil }
        worker.now += 0.2
        worker.tick()
        #expect(texts(consumer) == ["t late"])
        #expect(rules.takeTold() == ["t 2 hops=1"])
        #expect((worker.engines[0].output.figures.delayed, worker.engines[0].output.figures.delays) == (0, 1))
        #expect(rules.room.messages == 10_000 && rules.room.bytes == 16 << 20)
    }

    @Test(
        "What one version of a rule has sent or delayed does not meet the version beside it, whose sender has gone or never was there",
        arguments: [0, 1])
    func versions(rule: UInt8) {
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        rules.isBeside = true
        rules.script["t"] = [.init(topic: "t", text: "late", delay: 1, rule: rule)]
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "t"))?.status == 200)
        rules.script["t"] = [.init(topic: "elsewhere")]
        rules.sends = [.init(topic: "t", text: "own", rule: rule)]
        worker.disconnect(producer.id)
        worker.now += 2
        worker.tick()
        #expect(texts(consumer) == ["t own", "t late"])
    }

    @Test(
        "What rules delay does not come back to a client that wants none of its own, also after it has come back itself (MQTT-3.8.3-3)",
        arguments: [false, true], [0, 100] as [UInt32])
    func delayedNoLocal(isClean: Bool, expiry: UInt32) {
        rules.wanted = .will
        let worker = SimulatedWorker(hooks: rules)
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("#")
        func connect() -> SimulatedMQTTClient {
            .v5(worker, "c", isClean: isClean) {
                $0.properties.sessionExpiry = expiry
                $0.will = Connect.Will(topic: "w", payload: Array("gone".utf8))
            }
        }
        let first = connect()
        var filter = Subscribe.Filter("#", .atLeastOnce)
        filter.isNoLocal = true
        _ = first.subscribe([filter])
        rules.script["t"] = [.init(topic: "t", text: "late", delay: 2)]
        rules.will = .send
        rules.onTold = { [rules] in if $0.hasPrefix("will") { rules.sends = [.init(topic: "v", text: "late", delay: 2)] } }
        first.publish("t", "x", qos: .atLeastOnce)
        first.vanish()
        let second = connect()
        if isClean || expiry == 0 { _ = second.subscribe([filter]) }
        rules.script["t"] = nil
        worker.now += 3
        worker.tick()
        #expect(watcher.messages().sorted() == ["t: late", "v: late"])
        #expect(second.messages() == [])
    }

    @Test("Rules that delay each other's message end at limits.hops")
    func circle() {
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("#", group: "g")
        rules.script["a"] = [.init(topic: "b", delay: 1, rule: 0)]
        rules.script["b"] = [.init(topic: "a", delay: 1, rule: 1)]
        #expect(producer.ask(Frame(.message, id: 9, text: "x", name: "a"))?.status == 200)
        for _ in 0..<40 {
            worker.now += 1
            worker.tick()
        }
        #expect(rules.beyondHops == 1)
        #expect(worker.engines[0].output.figures.delayed == 0)
    }

    @Test("What is over the bound is not kept; what expires meanwhile is dropped; the rest keeps the seconds that are left")
    func bounds() {
        var limits = RoutingLimits()
        limits.delayedMessages = 2
        let worker = SimulatedWorker(limits: limits, hooks: rules)
        let producer = worker.connect()
        rules.script["t"] = [.init(topic: "t", delay: 5)]
        for _ in 0..<3 { producer.publish("t", "x") }
        #expect((worker.engines[0].output.figures.delayed, worker.engines[0].output.figures.dropped) == (2, 1))
        limits.delayedMessages = 5
        worker.engines[0].setLimits(limits)
        #expect(rules.room.messages == 3)
    }

    @Test("A delayed message keeps its sender's address, and clients of one address have half of the room, also once they have gone")
    func delaysOfOneAddress() {
        var limits = RoutingLimits()
        (limits.delayedMessages, limits.delayedBytes) = (6, 1000)
        let worker = SimulatedWorker(limits: limits, hooks: rules)
        let engine = worker.engines[0]
        let (first, second, local) = (worker.connect(host: 0x0A00_0001), worker.connect(host: 0x0A00_0002), worker.connect())
        rules.script["t"] = [.init(topic: "t", delay: 5)]
        func mayDelay(_ client: SimulatedClient, _ bytes: Int = 100) -> Bool { engine.mayDelay(by: client.id, bytes: bytes) }
        for _ in 0..<3 {
            #expect(mayDelay(first))
            first.publish("t", "x")
        }
        #expect(!mayDelay(first) && mayDelay(second) && mayDelay(local))
        second.publish("t", "x")
        #expect(mayDelay(second) && !mayDelay(second, 496))
        let another = worker.connect(host: 0x0A00_0001)
        worker.disconnect(first.id)
        #expect(!mayDelay(another))
        var addresses: [String?] = []
        rules.failing = { addresses.append(engine.address(of: $0.sender)?.host) }
        rules.script["t"] = nil
        rules.select = { _, _ in nil }
        worker.now += 5.1
        worker.tick()
        #expect(addresses == ["10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2"])
        #expect(mayDelay(another) && engine.address(of: first.id) == nil)
    }

    // MARK: dead letters

    private func deadLetters(_ set: (inout RoutingLimits) -> Void = { _ in }) -> SimulatedWorker {
        var limits = RoutingLimits()
        limits.deadLetterTopic = Array("dead".utf8)
        set(&limits)
        return SimulatedWorker(limits: limits, hooks: rules)
    }

    @Test("A message that nobody has subscribed, and one that a rule failed on, go to the dead letters, with the reason")
    func dead() throws {
        let worker = deadLetters()
        let (consumer, watcher, producer) = (worker.connect(), SimulatedMQTTClient.v5(worker, "w"), worker.connect())
        _ = consumer.subscribe("dead", group: "g")
        _ = watcher.subscribe("dead")
        #expect(producer.ask(Frame(.message, id: 9, text: "lost", name: "nowhere", key: "k"))?.status == 500)
        let frame = try #require(consumer.received().first { $0.type == .message })
        #expect((frame.name, frame.text, frame.key) == ("dead", "lost", "no subscriber"))
        let letter = try #require(watcher.deliveries().first)
        let pairs = letter.properties.userProperties.map { "\($0.name)=\($0.value)" }
        #expect(
            Set(pairs) == [
                "dead-letter-reason=no subscriber", "dead-letter-kind=topic", "dead-letter-topic=nowhere", "dead-letter-key=k",
                "key=no subscriber",
            ])
        #expect(letter.properties.contentType == "text/plain")
        rules.script["bad"] = [.init(topic: "elsewhere")]
        rules.failing = { worker.engines[0].failed("redact", .ruleTime, on: $0) }
        producer.publish("bad", "x")
        let failed = try #require(watcher.deliveries().first)
        #expect(failed.properties.userProperties.contains { $0.name == "dead-letter-rule" && $0.value == "redact" })
        #expect(failed.properties.userProperties.contains { $0.name == "dead-letter-reason" && $0.value == "rule.time" })
        #expect(worker.engines[0].output.figures.deadLetters == 2)
    }

    @Test("What a rule has made of a message is dead, and not what came: the rule may have taken something out")
    func deadAsMade() throws {
        rules.names = ["redact", "other"]
        let worker = deadLetters()
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("dead", group: "g")
        // To one topic without rules; to two with rules that let it pass.
        rules.script["a"] = [.init(topic: "b", text: "clean")]
        #expect(producer.ask(Frame(.message, id: 1, text: "secret", name: "a"))?.status == 500)
        rules.script["c"] = [.init(topic: "d", text: "clean too"), .init(topic: "e", text: "cleaner")]
        rules.select = { _, _ in nil }
        #expect(producer.ask(Frame(.message, id: 2, text: "secret", name: "c"))?.status == 500)
        let letters = consumer.received().filter { $0.type == .message }
        #expect(letters.map(\.text) == ["clean", "clean too"] && letters.allSatisfy { $0.key == "no subscriber" })
    }

    @Test("A message that no rule sees is its own dead letter, whatever rules have made of the one before")
    func deadOfAnother() throws {
        let worker = deadLetters()
        let (consumer, producer, other) = (worker.connect(), worker.connect(), worker.connect())
        _ = consumer.subscribe("dead", group: "g")
        _ = consumer.subscribe("e", group: "g")
        func letters(_ sender: SimulatedClient, _ topic: String, _ text: String) -> [String?] {
            _ = sender.ask(Frame(.message, id: 1, text: text, name: topic))
            return consumer.received().filter { $0.type == .message && $0.name == "dead" }.map(\.text)
        }
        rules.script["a"] = [.init(topic: "b", text: "clean")]
        #expect(letters(producer, "a", "secret") == ["clean"] && letters(other, "own", "mine") == ["mine"])
        // Of one that somebody got, too.
        rules.script["c"] = [.init(topic: "d", text: "clean too"), .init(topic: "e", text: "got")]
        #expect(letters(producer, "c", "secret") == [] && letters(other, "own", "mine too") == ["mine too"])
        // And of one that a rule has sent by itself.
        rules.script["f"] = [.init(topic: "a", text: "later", delay: 1)]
        #expect(letters(producer, "f", "x") == [])
        worker.now += 2
        worker.tick()
        #expect(letters(other, "own", "mine at last").last == "mine at last")
    }

    @Test("A retained message that a rule has changed waits for subscribers: it is not dead")
    func retainedAsMade() throws {
        rules.names = ["redact"]
        let worker = deadLetters()
        let (consumer, producer) = (worker.connect(), SimulatedMQTTClient.v5(worker, "p"))
        _ = consumer.subscribe("dead", group: "g")
        rules.script["a"] = [.init(topic: "b", text: "clean")]
        producer.publish("a", "secret", isRetained: true)
        #expect(!consumer.received().contains { $0.type == .message })
        let later = SimulatedMQTTClient.v5(worker, "later")
        _ = later.subscribe("b")
        #expect(later.deliveries().map(\.payload) == ["clean"])
    }

    @Test("Messages of one sender that are due together come in their order")
    func delayedInOrder() throws {
        let worker = SimulatedWorker(hooks: rules)
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("b", group: "g")
        for number in 0..<40 {
            rules.script["a"] = [.init(topic: "b", text: "\(number)", delay: 1)]
            _ = producer.ask(Frame(.message, id: Int64(number + 1), text: "x", name: "a"))
        }
        worker.now += 2
        worker.tick()
        #expect(consumer.received().filter { $0.type == .message }.map(\.text) == (0..<40).map(String.init))
    }

    @Test("A broadcast on which a rule has failed, and that no device takes, is one dead letter")
    func deadBroadcast() throws {
        rules.wanted = .broadcast
        let worker = deadLetters()
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("dead", group: "g")
        #expect(producer.ask(Frame(.notify, id: 1, format: .json, value: NotifyBody(message: "x", uid: "nobody").encoded()))?.status == 500)
        #expect(consumer.received().filter { $0.type == .message }.map(\.key) == ["no device"])
        rules.failing = { worker.engines[0].failed("redact", .ruleTime, on: $0) }
        #expect(producer.ask(Frame(.notify, id: 2, format: .json, value: NotifyBody(message: "x", uid: "nobody").encoded()))?.status == 500)
        #expect(consumer.received().filter { $0.type == .message }.map(\.key) == ["rule.time"])
        rules.failing = nil
        #expect(producer.ask(Frame(.notify, id: 3, format: .json, value: NotifyBody(message: "x", uid: "nobody").encoded()))?.status == 500)
        #expect(consumer.received().filter { $0.type == .message }.map(\.key) == ["no device"])
    }

    @Test("A dead letter that nobody gets is none again, and messages of its own topic are none; each message is one dead letter")
    func deadEnd() {
        let worker = deadLetters()
        let producer = worker.connect()
        #expect(producer.ask(Frame(.message, id: 9, text: "lost", name: "nowhere"))?.status == 500)
        #expect(producer.ask(Frame(.message, id: 10, text: "lost", name: "dead"))?.status == 500)
        #expect((worker.engines[0].output.figures.deadLetters, worker.engines[0].output.figures.deadLettersLost) == (0, 1))
        var limits = RoutingLimits()
        limits.deadLetterTopic = []
        worker.engines[0].setLimits(limits)
        #expect(producer.ask(Frame(.message, id: 11, text: "lost", name: "nowhere"))?.status == 500)
        #expect(worker.engines[0].output.figures.deadLettersLost == 1)
    }

    @Test("What passes limits.hops is a dead letter")
    func hops() throws {
        let worker = deadLetters { $0.hops = 1 }
        let (consumer, producer) = (worker.connect(), worker.connect())
        _ = consumer.subscribe("dead", group: "g")
        rules.script["a"] = [.init(topic: "b", rule: 0)]
        rules.script["b"] = [.init(topic: "c", rule: 1)]
        rules.script["c"] = [.init(topic: "d", rule: 1)]
        rules.names = ["one", "two"]
        _ = producer.ask(Frame(.message, id: 9, text: "x", name: "a"))
        let frames = consumer.received().filter { $0.type == .message }
        #expect(frames.first?.key == "limit.hops" || frames.first?.key == "no subscriber")
    }

    // MARK: clients

    @Test("Attributes are seen later; a client goes when its time is over; how fast it may send is there for its driver")
    func terms() {
        rules.terms = ClientTerms(attributes: [UserProperty("plan", "gold")], expiresAt: 1_000_000_000_000, messagesPerSecond: 5)
        let worker = SimulatedWorker(hooks: rules)
        let client = worker.connect()
        rules.terms.expiresAt = worker.now + 10
        #expect(client.ask(Frame(.ping, id: 1))?.status == 200)
        #expect(worker.engines[0].pace(of: client.id) == ClientPace(messages: 5, bytes: nil))
        worker.now += 9
        worker.tick()
        #expect(worker.closed[client.id] == nil)
        worker.now += 2
        worker.tick()
        #expect(worker.closed[client.id] == .accessExpired)
        #expect(rules.takeTold().last == "disconnect [\"gold\"]")
        #expect(!worker.engines[0].hasPaces)
    }

    @Test("A client whose time is over before it comes is not let in")
    func overTerms() {
        let worker = SimulatedWorker(hooks: rules)
        rules.terms = ClientTerms(expiresAt: worker.now - 1)
        let client = worker.connect()
        #expect(client.ask(Frame(.ping, id: 1))?.status == 401)
        #expect(worker.closed[client.id] == .accessExpired)
    }

    @Test("on_register sees the device, may refuse it or change its labels, of both protocols")
    func register() {
        rules.wanted = .register
        let worker = SimulatedWorker(hooks: rules)
        let client = worker.connect()
        rules.register = .reject(why: "no")
        #expect(client.ask(Frame(.ping, id: 1))?.status == 200)
        #expect(client.register("ada", tags: ["t"]) == 403)
        #expect(worker.engines[0].devices.count == 0)
        rules.register = .acceptAs(tags: ["x"], alias: nil)
        #expect(client.register("ada", tags: ["t"]) == 200)
        #expect(worker.engines[0].peer(client.id)?.tags == ["x"])
        #expect(rules.takeTold().suffix(2) == ["register ada phone [\"t\"]", "register ada phone [\"t\"]"])
        let mqtt = SimulatedMQTTClient.v5(worker, "meter") { $0.properties.userProperties = [.init("tag", "eu")] }
        #expect(rules.takeTold() == ["connect", "register meter meter [\"eu\"]"])
        #expect(worker.engines[0].peer(mqtt.id)?.tags == ["x"])
        rules.register = .reject(why: "no")
        _ = SimulatedMQTTClient.v5(worker, "other") { $0.properties.userProperties = [.init("tag", "eu")] }
        #expect(worker.engines[0].devices.count == 2)
    }
}
