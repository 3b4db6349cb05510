import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("A session with an MQTT broker")
struct MQTTSessionTests {
    @Test("connects, presents itself, subscribes, and sends what has waited", arguments: [MQTTVersion.v3_1_1, .v5])
    func begins(version: MQTTCodec.MQTTVersion) throws {
        var run = MQTTSessionRun(version, subscribes: true)
        #expect(run.submit("x").isEmpty)
        #expect(run.on(.start) == [.connect(broker)])
        let packet = try connectPacket(try #require(run.on(.connected).sent.first))
        #expect((packet.version, packet.clientID, packet.isClean, packet.keepAlive) == (version, "me", true, 60))
        #expect(packet.properties.sessionExpiry == (version == .v5 ? 10 : nil), "for as long as it comes back")
        let subscribe = run.session.settings.subscription
        #expect(run.greet() == [.send(try #require(subscribe).encoded(version))])
        let subscribed = run.receive(SubscribeAnswer(.subscribeAcknowledgement, 1, [.grantedQoS1]).encoded(version))
        #expect(subscribed == [.report(.attached(broker, isBack: false)), run.publish("x", 2), .admitted("x")])
        #expect(run.acknowledge(.publishAcknowledgement, 2) == [.complete("x", .acknowledged(.success, nil))])
        #expect(run.acknowledge(.publishAcknowledgement, 2).isEmpty, "a surplus acknowledgement is nobody's")
    }

    @Test("ends with the last reason when its patience is over")
    func impatient() {
        var run = MQTTSessionRun()
        _ = run.on(.start)
        #expect(run.on(.unreachable(hungUp)) == [.pause(.milliseconds(100))])
        #expect(run.on(.pauseOver) == [.connect(broker)])
        _ = run.submit("x")
        run.now = .milliseconds(900)
        let actions = run.on(.unreachable(hungUp))
        #expect(actions.end == hungUp)
        #expect(actions.completed["x"]?.failure == .notSent)
        #expect(run.submit("y").completed["y"]?.failure == .notSent, "later ones are told at once")
    }

    private static let refusals: [(ReasonCode, ErrorCode?)] = [
        (.badUserNameOrPassword, .accessDenied), (.notAuthorized, .accessDenied), (.banned, .accessDenied), (.clientIdentifierNotValid, .refused),
        (.unsupportedProtocolVersion, .requestUnsupported), (.serverBusy, nil), (.serverUnavailable, nil), (.quotaExceeded, nil),
        (.connectionRateExceeded, nil),
    ]

    @Test("ends at once when it is refused for good, with the broker's words, and else tries again", arguments: refusals)
    func refused(reason: ReasonCode, code: ShuntCore.ErrorCode?) {
        var run = MQTTSessionRun()
        _ = run.connect()
        let actions = run.refuse(reason) { $0.reasonString = "not you" }
        #expect(actions.end?.code == code)
        #expect(actions.contains(.hangUp(saying: nil)))
        if let end = actions.end {
            #expect(end.message.hasSuffix(": not you") && end.location == "b:1883")
        } else {
            #expect(actions.last == .pause(.milliseconds(100)))
        }
    }

    @Test("understands 3.1.1's return codes, also of a broker that knows no 5.0")
    func returnCodes() {
        for version in [MQTTVersion.v3_1_1, .v5] {
            var run = MQTTSessionRun(version)
            _ = run.connect()
            let error = run.receive([0x20, 2, 0, 1]).end
            #expect(error?.code == .requestUnsupported && error?.help?.hasPrefix("try MQTT 3.1.1") == true)
        }
        for (number, code) in [(UInt8(2), ErrorCode.refused), (4, .accessDenied), (5, .accessDenied)] {
            var run = MQTTSessionRun(.v3_1_1)
            _ = run.connect()
            #expect(run.receive([0x20, 2, 0, number]).end?.code == code)
        }
    }

    @Test("says what is wrong where something else than MQTT answers")
    func noMQTT() {
        for answer: [UInt8] in [Array("HTTP/1.1 400".utf8), [0xD0, 0], [0x00, 0], Disconnect(.serverBusy).encoded(.v5)] {
            var run = MQTTSessionRun()
            _ = run.connect()
            let bytes = answer.withUnsafeBytes { PacketDecoder.decode($0, limit: 1 << 20) }
            if case .needMore = bytes { continue }
            _ = run.receive(answer)
            run.now = .seconds(2)
            _ = run.on(.pauseOver)
            _ = run.on(.connected)
            #expect(run.receive(answer).end == .noMQTT(broker))
        }
    }

    @Test("takes a broker that closes, or never answers CONNECT, for one that may not speak MQTT")
    func silent() {
        for event in [MQTTSession<String>.Event.lost(hungUp), .check] {
            var run = MQTTSessionRun()
            _ = run.connect()
            run.now = .seconds(4)
            #expect(run.on(event).end?.help?.contains("MQTT") == true)
        }
        var run = MQTTSessionRun()
        _ = run.connect()
        run.now = .seconds(2)
        #expect(run.on(.check).isEmpty, "there is time left")
    }

    @Test("tells a subscription that is refused, and one that the broker says it can't have")
    func subscriptions() {
        var run = MQTTSessionRun(subscribes: true)
        _ = run.connect()
        _ = run.greet()
        let refused = run.receive(SubscribeAnswer(.subscribeAcknowledgement, 1, [.notAuthorized]).encoded(.v5))
        #expect(refused.end?.code == .accessDenied && refused.end?.message == "the subscription was refused: not authorized")
        run = MQTTSessionRun(subscribes: true)
        _ = run.connect()
        #expect(run.greet { $0.wildcardSubscriptionAvailable = false }.end?.code == .requestUnsupported)
        run = MQTTSessionRun(subscribes: true)
        _ = run.connect()
        _ = run.greet()
        let wrong = run.receive(SubscribeAnswer(.subscribeAcknowledgement, 1, [.success, .success]).encoded(.v5))
        #expect(wrong.contains(.hangUp(saying: Disconnect(.protocolError).encoded(.v5))), "MQTT-3.8.4-6")
    }

    // MARK: Going elsewhere

    @Test("follows a server reference, and Shunt's redirect of a chat; not for ever")
    func redirects() {
        let (other, named) = (HostPort("c", 1883), HostPort("d", 7))
        var run = MQTTSessionRun(subscribes: true)
        _ = run.connect()
        let first = run.refuse(.useAnotherServer) { $0.serverReference = "c other.example" }
        #expect(first == [.hangUp(saying: nil), .report(.redirected(from: broker, to: other)), .connect(other)])
        _ = run.on(.connected)
        _ = run.greet()
        var answer = SubscribeAnswer(.subscribeAcknowledgement, 1, [.implementationSpecificError])
        answer.properties.userProperties = [UserProperty("redirect", "d:7")]
        let second = run.receive(answer.encoded(.v5))
        #expect(second == [.hangUp(saying: nil), .report(.redirected(from: other, to: named)), .pause(.milliseconds(100))])
        for _ in 3...5 {
            _ = run.on(.pauseOver)
            _ = run.on(.connected)
            _ = run.refuse(.serverMoved) { $0.serverReference = "c" }
        }
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        run.now = .seconds(2)
        #expect(run.refuse(.serverMoved) { $0.serverReference = "c" }.end?.message == "redirected 6 times, the last time to c:1883")
    }

    private static let dismissals: [(ReasonCode, ErrorCode?)] = [
        (.sessionTakenOver, .sessionReplaced), (.notAuthorized, .accessDenied), (.serverShuttingDown, nil), (.administrativeAction, nil),
        (.malformedPacket, nil),
    ]

    @Test("comes back after a DISCONNECT, unless another connection has its id or it is not let in any more", arguments: dismissals)
    func dismissed(reason: ReasonCode, code: ShuntCore.ErrorCode?) {
        var run = MQTTSessionRun()
        run.attach()
        let actions = run.receive(Disconnect(reason).encoded(.v5))
        #expect(actions.end?.code == code)
        #expect(actions.contains { if case .pause = $0 { true } else { false } } == (code == nil))
    }

    // MARK: Coming back

    @Test("goes on with its session, and subscribes anew only where the broker has lost it")
    func resumption() throws {
        for hasSession in [true, false] {
            var run = MQTTSessionRun(subscribes: true)
            run.attach()
            #expect(run.on(.lost(hungUp)) == [.report(.lost(broker, hungUp)), .pause(.milliseconds(100))])
            #expect(run.on(.pauseOver) == [.connect(broker)])
            #expect(try connectPacket(try #require(run.on(.connected).sent.first)).isClean == false)
            let actions = run.greet(session: hasSession)
            #expect(actions.contains(.report(.attached(broker, isBack: true))) == hasSession)
            #expect(actions.sent.isEmpty == hasSession)
        }
    }

    @Test("subscribes again if the connection was lost before SUBACK, though the broker has a session")
    func unfinishedSubscription() {
        var run = MQTTSessionRun(subscribes: true)
        _ = run.connect()
        _ = run.greet()
        _ = run.comeBack()
        #expect(run.greet(session: true).sent.count == 1)
    }

    @Test("comes back by the id that the broker has chosen")
    func assignedID() throws {
        var run = MQTTSessionRun()
        run.attach { $0.assignedClientIdentifier = "chosen" }
        #expect(try connectPacket(try #require(run.comeBack().sent.first)).clientID == "chosen")
    }

    @Test("asks about another client of its id when it is closed soon, again and again; and waits longer each time")
    func shortLives() {
        var run = MQTTSessionRun()
        run.attach()
        #expect(run.on(.lost(hungUp)).first == .report(.lost(broker, hungUp)))
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        _ = run.greet(session: true)
        let asked = ShuntError(.connectionLost, "gone. Does another client use the id 'me'?")
        #expect(run.on(.lost(hungUp)) == [.report(.lost(broker, asked)), .pause(.milliseconds(200))])
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        _ = run.greet(session: true)
        run.now += .seconds(1)
        #expect(run.on(.lost(hungUp)) == [.report(.lost(broker, hungUp)), .pause(.milliseconds(100))])
    }

    @Test("gives up what waits when the time to come back is over, and goes on trying if it is to")
    func returnPatience() {
        var run = MQTTSessionRun(endsWithPatience: false)
        run.attach()
        _ = run.submit("sent")
        _ = run.on(.lost(hungUp))
        _ = run.submit("waits")
        _ = run.on(.pauseOver)
        run.now = .seconds(10)
        let actions = run.on(.unreachable(hungUp))
        #expect(actions.completed["sent"]?.failure == .unknown)
        #expect(actions.completed["waits"]?.failure == .notSent)
        #expect(actions.last == .pause(.milliseconds(200)))
        #expect(run.on(.pauseOver) == [.connect(broker)])
    }

    // MARK: Keep alive

    @Test("says PINGREQ in time, and gives up a broker that does not answer", arguments: [(UInt16(60), 45), (4, 3)])
    func keepAlive(seconds: UInt16, after: Int) {
        var run = MQTTSessionRun(keepAlive: seconds)
        run.attach()
        run.now = .seconds(after) - .milliseconds(1)
        #expect(run.on(.check).isEmpty)
        run.now = .seconds(after)
        #expect(run.on(.check) == [.send(Ping.request)])
        run.now += .milliseconds(100)
        #expect(run.receive(Ping.response).isEmpty)
        run.now += .seconds(after)
        #expect(run.on(.check) == [.send(Ping.request)])
        run.now += .seconds(5)
        #expect(run.on(.check).contains(.hangUp(saying: nil)))
    }

    @Test("says PINGREQ though much comes, or much goes out; none with keep alive 0; and the broker's keep alive counts")
    func busyKeepAlive() {
        var run = MQTTSessionRun(keepAlive: 4)
        run.attach()
        run.now = .seconds(3)
        _ = run.receive(run.incoming("x", 0, qos: .atMostOnce))
        #expect(run.on(.check) == [.send(Ping.request)], "the broker has heard nothing")
        run = MQTTSessionRun(keepAlive: 4)
        run.attach()
        run.now = .seconds(3)
        _ = run.submit("x", qos: .atMostOnce)
        #expect(run.on(.check) == [.send(Ping.request)], "the broker may be gone")
        run = MQTTSessionRun(keepAlive: 0)
        run.attach()
        run.now = .seconds(100_000)
        #expect(run.on(.check).isEmpty)
        run = MQTTSessionRun()
        run.attach { $0.serverKeepAlive = 4 }
        run.now = .seconds(3)
        #expect(run.on(.check) == [.send(Ping.request)])
    }

    @Test("takes silence for nothing while it does not read, and is still heard")
    func pausedKeepAlive() {
        var run = MQTTSessionRun(keepAlive: 4)
        run.attach()
        _ = run.on(.paused(true))
        for _ in 1...10 {
            run.now += .seconds(3)
            #expect(run.on(.check) == [.send(Ping.request)])
        }
        _ = run.on(.paused(false))
        #expect(run.on(.check).isEmpty)
    }

    // MARK: The end

    @Test("says good-bye, and ends its session at the broker unless that is to be kept")
    func farewell() {
        for (expiry, kept) in [(nil, false), (3600, true)] as [(UInt32?, Bool)] {
            var run = MQTTSessionRun(isClean: expiry == nil, sessionExpiry: expiry)
            run.attach()
            _ = run.submit("x")
            let actions = run.on(.close(nil))
            var packet = Disconnect()
            packet.properties.sessionExpiry = kept ? nil : 0
            #expect(actions.suffix(2) == [.hangUp(saying: packet.encoded(.v5)), .end(nil)])
            #expect(actions.completed["x"]?.failure == .unknown)
        }
    }

    @Test("closes with the reason what breaks the protocol, and comes back")
    func broken() {
        let faults: [([UInt8], ReasonCode)] = [
            ([0x20, 3, 0, 0, 0], .protocolError), ([0xC0, 0], .protocolError), ([0x30, 3, 0, 0, 0], .topicAliasInvalid),
            ([0x40, 2, 0, 0], .protocolError), ([0x3E, 3, 0, 1, 0x61], .malformedPacket), ([0x90, 1, 0], .malformedPacket),
        ]
        for (packet, reason) in faults {
            var run = MQTTSessionRun()
            run.attach()
            let actions = run.receive(packet)
            #expect(actions.first == .hangUp(saying: Disconnect(reason).encoded(.v5)), "\(packet)")
            #expect(actions.last == .pause(.milliseconds(100)))
        }
    }
}
