import ExchangeCodec
import Foundation
import ShuntCore
import ShuntRules
import Testing

@testable import MQTTCodec
@testable import ShuntEngine

@Suite("Rules in Lua, and clients of MQTT 5.0")
struct MQTTRulesTests {
    /// A worker with one loop and one rule.
    private final class Rig {
        let worker: SimulatedWorker
        let rules: LoopRules
        private let folder: String

        init(_ body: String) throws {
            folder = NSTemporaryDirectory() + "shunt-engine-" + UUID().uuidString
            try FileManager.default.createDirectory(atPath: folder + "/rule", withIntermediateDirectories: true)
            try Data("local R = {}\n\(body)\nreturn R\n".utf8).write(to: URL(fileURLWithPath: folder + "/rule/rule.lua"))
            var limits = RuleLimits()
            limits.callNanoseconds = 50_000_000
            rules = try LoopRules(
                set: RuleSet.load(directory: folder, limits: limits), worker: "w", loop: 0, limits: limits, shared: SharedStore(),
                log: { if $0.level == .error { Issue.record("\($0.text)") } }, inflate: { _, _, _, _ in [] }, now: 1000)
            worker = SimulatedWorker(hooks: rules)
            rules.peers = worker.engines[0]
        }

        deinit { try? FileManager.default.removeItem(atPath: folder) }

        func client(_ name: String, _ change: (inout Connect) -> Void = { _ in }) -> Client5 {
            var connect = Connect(version: .v5, clientID: name)
            change(&connect)
            let client = Client5(id: worker.open(0, .mqtt), worker: worker)
            worker.send(connect.encoded(), from: client.id)
            return client
        }
    }

    /// A client of MQTT 5.0.
    private struct Client5 {
        let id: ConnectionID
        let worker: SimulatedWorker

        struct Got: Equatable {
            var text: String
            var qos: QoS
            var properties = Properties.none
        }

        func packets(_ type: PacketType) -> [[UInt8]] { worker.takePackets(id).filter { $0[0] >> 4 == type.rawValue } }

        func subscribe(_ filter: String, qos: QoS = .exactlyOnce) -> [UInt8]? {
            worker.send(Subscribe(7, [.init(filter, qos)]).encoded(.v5), from: id)
            return packets(.subscribeAcknowledgement).first.map { Array($0.suffix(1)) }
        }

        func publish(_ topic: String, _ payload: String, qos: QoS = .atMostOnce, isRetained: Bool = false, _ properties: Properties = .none) {
            let (topic, payload, encoded) = (Array(topic.utf8), Array(payload.utf8), properties.encoded())
            let packet = topic.withUnsafeBytes { topic in
                payload.withUnsafeBytes { payload in
                    encoded.withUnsafeBytes {
                        PublishFields(
                            .v5, topic: topic, payload: payload, qos: qos, isRetained: isRetained, identifier: qos == .atMostOnce ? 0 : 9,
                            encodedProperties: $0
                        ).encoded()
                    }
                }
            }
            worker.send(packet, from: id)
        }

        func messages() throws -> [Got] {
            try packets(.publish).map { packet in
                try packet.withUnsafeBytes { bytes in
                    guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20) else {
                        throw ShuntError(.internalError, "no packet")
                    }
                    let view = try PublishView(header, bytes, .v5)
                    var reader = PacketReader(view.encodedProperties)
                    let text = "\(String(decoding: view.topic, as: UTF8.self)): \(String(decoding: view.payload, as: UTF8.self))"
                    return Got(
                        text: view.isRetained ? text + " (retained)" : text, qos: view.qos,
                        properties: view.encodedProperties.isEmpty ? .none : try Properties(&reader, of: .publish))
                }
            }
        }
    }

    private func properties(_ change: (inout Properties) -> Void) -> Properties {
        var properties = Properties.none
        change(&properties)
        return properties
    }

    @Test("What a rule sends on keeps QoS, properties and expiry, and has those that the rule gives it")
    func sendsOn() throws {
        let rig = try Rig(
            """
            function R.on_message(msg)
              if msg.topic == "as-it-is" then return route.to("out") end
              if msg.topic == "changed" then
                local p = msg.props
                p.seen = msg.props.region .. msg.qos
                return msg:with { topic = "out", qos = 2, props = p, expiry = msg.expiry - 1, correlation_data = false }
              end
              if msg.topic == "fan" then return route.fanout { route.to("out"), route.to("out", msg:with { qos = 0, content_type = "a/b" }) } end
            end
            """)
        let subscriber = rig.client("s"), publisher = rig.client("p")
        #expect(subscriber.subscribe("out") == [2])
        var sent = properties {
            $0.messageExpiry = 100
            $0.correlationData = [1, 2]
            $0.userProperties = [.init("region", "eu"), .init("region", "us")]
        }
        publisher.publish("as-it-is", "1", qos: .atLeastOnce, sent)
        #expect(try subscriber.messages() == [.init(text: "out: 1", qos: .atLeastOnce, properties: sent)])
        publisher.publish("fan", "2", qos: .atLeastOnce, sent)
        let fan = try subscriber.messages()
        #expect(fan.map(\.qos) == [.atLeastOnce, .atMostOnce])
        #expect(fan.map(\.properties.contentType) == [nil, "a/b"])
        #expect(fan.map(\.properties.userProperties) == [sent.userProperties, sent.userProperties])
        publisher.publish("changed", "3", qos: .atLeastOnce, sent)
        (sent.messageExpiry, sent.correlationData) = (99, nil)
        sent.userProperties.append(.init("seen", "eu1"))
        #expect(try subscriber.messages() == [.init(text: "out: 3", qos: .exactlyOnce, properties: sent)])
    }

    @Test("A rule makes a message retained, or takes that away")
    func retains() throws {
        let rig = try Rig(
            """
            function R.on_message(msg)
              if msg.topic == "keep" then return msg:with { topic = "kept", retain = true } end
              if msg.retain then return msg:with { retain = false } end
            end
            """)
        let publisher = rig.client("p")
        publisher.publish("keep", "1")
        publisher.publish("not/kept", "2", isRetained: true)
        let subscriber = rig.client("s")
        _ = rig.worker.takePackets(subscriber.id)
        rig.worker.send(Subscribe(7, [.init("#", .atLeastOnce)]).encoded(.v5), from: subscriber.id)
        #expect(try subscriber.messages().map(\.text) == ["kept: 1 (retained)"])
    }

    @Test("Messages of the exchange protocol have the same fields, and what rules give them reaches clients of MQTT")
    func exchange() throws {
        let rig = try Rig(
            """
            function R.on_message(msg)
              return msg:with { topic = "out", props = { qos = tostring(msg.qos), count = tostring(#msg.props), type = msg.content_type } }
            end
            """)
        let subscriber = rig.client("s")
        _ = subscriber.subscribe("out")
        let consumer = rig.worker.connect()
        _ = consumer.subscribe("out", group: "g")
        rig.worker.connect().publish("in", "text", key: "k")
        let expected = properties {
            ($0.payloadFormat, $0.contentType) = (1, "text/plain")
            $0.userProperties = [.init("count", "0"), .init("qos", "1"), .init("type", "text/plain"), .init("key", "k")]
        }
        #expect(try subscriber.messages() == [.init(text: "out: text", qos: .atLeastOnce, properties: expected)])
        #expect(consumer.received().map(\.key) == ["k"])
    }

    @Test("A message of MQTT is JSON for rules if its content type says so, or nothing does and it looks like it")
    func format() throws {
        let rig = try Rig("function R.on_message(msg) return msg:with { topic = 'out', payload = msg.format .. tostring(msg.key) } end")
        let subscriber = rig.client("s"), publisher = rig.client("p")
        _ = subscriber.subscribe("out")
        publisher.publish("in", "{}")
        publisher.publish("in", "x")
        publisher.publish("in", "{}", properties { $0.contentType = "text/plain" })
        publisher.publish("in", "{}", properties { ($0.payloadFormat, $0.userProperties) = (1, [.init("key", "k")]) })
        #expect(try subscriber.messages().map(\.text) == ["out: jsonnil", "out: textnil", "out: textnil", "out: jsonk"])
    }

    @Test("What on_deliver gives one recipient, beside the subscription's identifier")
    func deliver() throws {
        let rig = try Rig("function R.on_deliver(msg, conn) return msg:with { props = { to = conn.client_id } } end")
        let subscriber = rig.client("s"), publisher = rig.client("p")
        var subscribe = Subscribe(7, [.init("a", .atLeastOnce)])
        subscribe.properties.subscriptionIdentifiers = [5]
        rig.worker.send(subscribe.encoded(.v5), from: subscriber.id)
        publisher.publish("a", "x", qos: .atLeastOnce, properties { $0.userProperties = [.init("from", "p")] })
        let got = try #require(try subscriber.messages().first)
        #expect((got.qos, got.properties.subscriptionIdentifiers) == (.atLeastOnce, [5]))
        #expect(got.properties.userProperties == [.init("to", "s")])
    }

    @Test("on_connect sees who the client is and its will, before it is let in; a will that is refused is not published")
    func connects() throws {
        let rig = try Rig(
            """
            function R.on_connect(conn)
              local will = conn.will
              local goodbye = will and will.topic .. will.delay or "-"
              local seen = table.concat({ conn.client_id, conn.version, conn.keep_alive, conn.props.tenant or "none", goodbye }, " ")
              if will and will.topic == "forbidden" then return route.reject(seen) end
              return conn:with { tags = { seen } }
            end
            """)
        let watcher = rig.client("w")
        _ = watcher.subscribe("#")
        let refused = rig.client("bad") { $0.will = .init(topic: "forbidden", payload: []) }
        #expect(rig.worker.closed[refused.id] == .ruleRejected)
        rig.worker.disconnect(refused.id)
        let client = rig.client("good") {
            $0.keepAlive = 30
            $0.properties.userProperties = [.init("tenant", "one")]
            $0.will = .init(topic: "gone", payload: [0x78])
            $0.will?.properties.willDelay = 0
        }
        let peer = rig.worker.engines[0].peer(client.id)
        #expect(peer?.tags == ["good 5.0 30 one gone0"])
        #expect(rig.worker.engines[0].peer(rig.worker.connect().id)?.mqtt == nil)
        rig.worker.disconnect(client.id)
        #expect(try watcher.messages().map(\.text) == ["gone: x"])
    }

    enum Ending: CaseIterable {
        case atOnce, later, withSession, cleanStart, goodbye
    }

    @Test("on_will sees the client as it was, whenever its will is published", arguments: Ending.allCases)
    func willOfDeparted(ending: Ending) throws {
        let rig = try Rig(
            """
            local function seen(conn)
              return table.concat({
                conn.uid, conn.device, table.concat(conn.tags, "+"), conn.attributes.plan or "none", conn.protocol, conn.version, conn.client_id,
                tostring(conn.auth_method), conn.keep_alive, conn.props.tenant or "none", conn.address, conn.connected_at, #conn.groups,
                tostring(conn.will) }, " ")
            end
            local known
            function R.on_connect(conn)
              if conn.client_id == "c" then return conn:with { tags = { "one", "two" }, attributes = { plan = "gold" } } end
            end
            function R.on_disconnect(conn) if conn.client_id == "c" then known = known or seen(conn) .. " " .. conn.id end end
            function R.on_will(msg, conn)
              local now = seen(conn) .. " " .. conn.id
              return msg:with { payload = now == known and now:find("gold mqtt 5.0 c nil 30 acme 127.0.0.1:40000", 1, true) and "same" or now }
            end
            """)
        let watcher = rig.client("w")
        _ = watcher.subscribe("gone")
        func connect(isClean: Bool = false) -> Client5 {
            rig.client("c") {
                $0.isClean = isClean
                $0.keepAlive = 30
                $0.properties.userProperties = [.init("tenant", "acme")]
                $0.properties.sessionExpiry = ending == .withSession ? 5 : 100
                $0.will = .init(topic: "gone", payload: [0x78])
                $0.will?.properties.willDelay = ending == .atOnce ? 0 : 50
            }
        }
        let client = connect()
        if ending == .goodbye {
            var goodbye = Disconnect(.disconnectWithWill)
            goodbye.properties.sessionExpiry = 0
            rig.worker.send(goodbye.encoded(.v5), from: client.id)
        }
        rig.worker.disconnect(client.id)
        if ending == .later || ending == .withSession {
            #expect(try watcher.messages().isEmpty)
            rig.worker.now += 51
            rig.worker.tick()
        }
        if ending == .cleanStart { _ = connect(isClean: true) }
        #expect(try watcher.messages().map(\.text) == ["gone: same"])
    }

    @Test("A client that comes to need a session keeps its will (MQTT-3.1.2-8)")
    func willOfLateSession() throws {
        let rig = try Rig("")
        let watcher = rig.client("w")
        _ = watcher.subscribe("gone")
        let client = rig.client("c") { $0.will = .init(topic: "gone", payload: [0x78]) }
        #expect(client.subscribe("a", qos: .exactlyOnce) == [2])
        #expect(rig.worker.engines[0].peer(client.id)?.mqtt?.will?.topic == Array("gone".utf8))
        rig.worker.disconnect(client.id)
        #expect(try watcher.messages().map(\.text) == ["gone: x"])
    }

    @Test("on_subscribe makes a subscription's QoS lower: SUBACK says so, and messages come with it")
    func subscribes() throws {
        let rig = try Rig("function R.on_subscribe(sub) if sub.qos > 0 then return sub:with { qos = sub.qos - 1 } end end")
        let subscriber = rig.client("s"), publisher = rig.client("p")
        rig.client("q").publish("b", "0", qos: .exactlyOnce, isRetained: true)
        #expect(subscriber.subscribe("a") == [1])
        rig.worker.send(Subscribe(7, [.init("b", .exactlyOnce)]).encoded(.v5), from: subscriber.id)
        #expect(try subscriber.messages().map(\.qos) == [.atLeastOnce])
        publisher.publish("a", "1", qos: .exactlyOnce)
        #expect(try subscriber.messages().map(\.qos) == [.atLeastOnce])
        #expect(subscriber.subscribe("a", qos: .atMostOnce) == [0])
        // An exchange client's counts as QoS 1, whatever rules make of that.
        let consumer = rig.worker.connect()
        #expect(consumer.subscribe("a", group: "g") == 200)
        publisher.publish("a", "2")
        #expect(consumer.texts() == ["2"])
    }

    @Test("A broadcast that a rule makes a topic message counts as QoS 1, as any message of the exchange protocol")
    func fromBroadcast() throws {
        let rig = try Rig("function R.on_broadcast(push, ctx) ctx:emit(route.to('audit', push:with { props = { a = 'b' } })) end")
        let subscriber = rig.client("s")
        _ = subscriber.subscribe("audit")
        let sender = rig.worker.connect()
        sender.send(Frame(.notify, id: 1, format: .json, value: NotifyBody(message: "hello").encoded()))
        let got = try subscriber.messages()
        #expect(got.map(\.text) == ["audit: hello"])
        #expect(got.map(\.qos) == [.atLeastOnce])
        #expect(got.first?.properties.userProperties == [.init("a", "b")])
    }
}
