import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("Messages that an MQTT session sends")
struct MQTTSendingTests {
    @Test("have their outcome with PUBACK, or PUBCOMP, or as soon as the system has them", arguments: [MQTTVersion.v3_1_1, .v5])
    func outcomes(version: MQTTCodec.MQTTVersion) {
        var run = MQTTSessionRun(version)
        run.attach()
        #expect(run.submit("one") == [run.publish("one", 1), .admitted("one")])
        #expect(run.submit("two", qos: .exactlyOnce) == [run.publish("two", 2, qos: .exactlyOnce), .admitted("two")])
        #expect(run.submit("zero", qos: .atMostOnce) == [run.publish("zero", 0, qos: .atMostOnce), .admitted("zero")])
        let done = MQTTOutcome.acknowledged(.success, nil)
        #expect(run.on(.written(1)) == [.complete("zero", done)])
        #expect(run.acknowledge(.publishReceived, 2) == [run.answer(.publishRelease, 2)])
        #expect(run.acknowledge(.publishComplete, 2) == [.complete("two", done)])
        #expect(run.acknowledge(.publishAcknowledgement, 1) == [.complete("one", done)])
    }

    @Test(
        "that are refused have the broker's reason",
        arguments: [
            (PacketType.publishAcknowledgement, QoS.atLeastOnce, ReasonCode.notAuthorized, ErrorCode.accessDenied),
            (.publishReceived, .exactlyOnce, .quotaExceeded, .refused), (.publishAcknowledgement, .atLeastOnce, .topicNameInvalid, .topicInvalid),
            (.publishReceived, .exactlyOnce, .payloadFormatInvalid, .payloadInvalid),
        ])
    func refusals(type: PacketType, qos: ShuntCore.QoS, reason: ReasonCode, code: ShuntCore.ErrorCode) {
        var run = MQTTSessionRun()
        run.attach()
        _ = run.submit("x", qos: qos)
        let actions = run.acknowledge(type, 1, reason, text: "no swearing")
        guard case .failed(let failure)? = actions.completed["x"], case .refused(let refusal) = failure.outcome else {
            Issue.record("\(actions)")
            return
        }
        #expect(refusal.reasonCode == reason.rawValue && refusal.code == code && failure.error.code == code)
        #expect(refusal.description.hasSuffix("\(reason.text): no swearing"))
        #expect(actions.sent.isEmpty, "no PUBREL follows a refusal: MQTT-4.3.3-4")
    }

    @Test("tell that nobody subscribes: of QoS 2, what PUBREC has said")
    func nobody() {
        var run = MQTTSessionRun()
        run.attach()
        _ = run.submit("x")
        _ = run.submit("y", qos: .exactlyOnce)
        #expect(run.acknowledge(.publishAcknowledgement, 1, .noMatchingSubscribers).completed["x"] == .acknowledged(.noMatchingSubscribers, nil))
        _ = run.acknowledge(.publishReceived, 2, .noMatchingSubscribers, text: "0 matched")
        #expect(run.acknowledge(.publishComplete, 2).completed["y"] == .acknowledged(.noMatchingSubscribers, "0 matched"))
    }

    @Test("answer a PUBREC for nothing so that the broker can forget it")
    func unknownReceived() {
        var run = MQTTSessionRun()
        run.attach()
        #expect(run.acknowledge(.publishReceived, 9) == [run.answer(.publishRelease, 9, .packetIdentifierNotFound)])
    }

    // MARK: The window

    @Test("never exceed the broker's receive maximum, and go on with each answer; QoS 0 is not counted there")
    func receiveMaximum() {
        var run = MQTTSessionRun(window: 100)
        run.attach { $0.receiveMaximum = 2 }
        #expect(run.submit("1").sent.count == 1)
        #expect(run.submit("2").sent.count == 1)
        #expect(run.submit("3").isEmpty)
        #expect(!run.session.hasRoom)
        #expect(run.acknowledge(.publishAcknowledgement, 1).sent == [run.publish("3", 3)].sent)
        run = MQTTSessionRun(window: 100)
        run.attach { $0.receiveMaximum = 2 }
        for number in 1...50 { #expect(run.submit("\(number)", qos: .atMostOnce).sent.count == 1) }
    }

    @Test("stay within the application's window, and go on with each answer, or when half of a large one is free")
    func window() {
        var run = MQTTSessionRun(window: 4)
        run.attach()
        for number in 1...6 { _ = run.submit("\(number)") }
        #expect(run.acknowledge(.publishAcknowledgement, 1).sent == [run.publish("5", 5)].sent)
        #expect(run.acknowledge(.publishAcknowledgement, 2).sent == [run.publish("6", 6)].sent)
        run = MQTTSessionRun(window: 200)
        run.attach()
        for number in 1...201 { _ = run.submit("\(number)") }
        for number in 1..<100 as Range<UInt16> { #expect(run.acknowledge(.publishAcknowledgement, number).sent.isEmpty) }
        #expect(run.acknowledge(.publishAcknowledgement, 100).sent == [run.publish("201", 201)].sent)
    }

    @Test("that the system does not take fill the window too")
    func unwritten() {
        var run = MQTTSessionRun(window: 2)
        run.attach()
        for number in 1...3 { _ = run.submit("\(number)", qos: .atMostOnce) }
        #expect(!run.session.hasRoom)
        let actions = run.on(.written(2))
        #expect(actions.completed.keys.sorted() == ["1", "2"] && actions.sent == [run.publish("3", 0, qos: .atMostOnce)].sent)
    }

    @Test("that are too large for the broker, or ask for what it does not have, are not sent; others are")
    func limits() {
        var run = MQTTSessionRun()
        run.attach {
            $0.maximumPacketSize = 60
            $0.maximumQoS = 1
            $0.retainAvailable = false
        }
        func code(_ actions: [MQTTSessionRun.Session.Action]) -> ErrorCode? {
            guard case .failed(let failure)? = actions.completed.values.first, failure.outcome == .notSent else { return nil }
            return failure.error.code
        }
        #expect(code(run.submit(String(repeating: "x", count: 60))) == .frameTooLarge)
        #expect(code(run.submit("x", qos: .exactlyOnce)) == .requestUnsupported)
        var kept = run.message("x")
        kept.mqtt.isRetained = true
        #expect(code(run.session.submit(kept, "kept", now: .zero)) == .requestUnsupported)
        #expect(code(run.submit("x", topic: "a/+")) == .topicInvalid)
        #expect(run.submit("x").sent.count == 1)
    }

    @Test("have identifiers 1, 2, 3, … without those in flight and without 0")
    func identifiers() {
        var outbox = MQTTOutbox<Int>(window: 10, bytes: 1000)
        let message = OutgoingMessage(topic: "t", text: "x")
        outbox.note(.init(message: message, ticket: 0), .atLeastOnce, size: 1, identifier: 3)
        #expect((1...4).map { _ in outbox.takeIdentifier() } == [1, 2, 4, 5])
        for identifier in [1, 2, 4, 5] as [UInt16] { outbox.release(identifier) }
        var seen = Set<UInt16>()
        for _ in 1...65_534 {
            let identifier = outbox.takeIdentifier()
            seen.insert(identifier)
            outbox.release(identifier)
        }
        #expect(seen.count == 65_534 && !seen.contains(0) && !seen.contains(3))
    }

    // MARK: After a lost connection

    @Test("go out again with DUP, in order, and released ones as PUBREL, where the broker has kept the session", arguments: [MQTTVersion.v5])
    func again(version: MQTTCodec.MQTTVersion) {
        var run = MQTTSessionRun(version)
        run.attach()
        for text in ["1", "2"] { _ = run.submit(text) }
        _ = run.submit("3", qos: .exactlyOnce)
        _ = run.submit("4", qos: .exactlyOnce)
        _ = run.acknowledge(.publishAcknowledgement, 1)
        _ = run.acknowledge(.publishReceived, 4)
        _ = run.comeBack()
        _ = run.submit("5")
        #expect(
            run.greet(session: true) == [
                .report(.attached(broker, isBack: true)), run.publish("2", 2, isDuplicate: true),
                run.publish("3", 3, qos: .exactlyOnce, isDuplicate: true), run.answer(.publishRelease, 4), run.publish("5", 5), .admitted("5"),
            ])
        #expect(run.acknowledge(.publishComplete, 4).completed.keys.sorted() == ["4"])
    }

    @Test("are of unknown outcome where it has not, or go out anew if they are to")
    func lostSession() {
        var run = MQTTSessionRun()
        run.attach()
        _ = run.submit("1")
        _ = run.comeBack()
        #expect(run.greet(session: false).completed["1"]?.failure == .unknown)
        run = MQTTSessionRun(resends: true)
        run.attach()
        _ = run.submit("1")
        _ = run.comeBack()
        _ = run.submit("2")
        #expect(
            run.greet(session: false) == [
                .report(.attached(broker, isBack: true)), run.publish("1", 2), run.publish("2", 3), .admitted("2"),
            ], "nobody waits for room a second time")
    }

    @Test("of QoS 0 are of unknown outcome if the system had not taken them, and are never sent again")
    func lostUnwritten() {
        var run = MQTTSessionRun(resends: true)
        run.attach()
        _ = run.submit("1", qos: .atMostOnce)
        #expect(run.on(.lost(hungUp)).completed["1"]?.failure == .unknown)
        _ = run.on(.pauseOver)
        _ = run.on(.connected)
        #expect(run.greet().sent.isEmpty)
    }

    @Test("that are without answer for too long say that the broker is dead")
    func unanswered() {
        var run = MQTTSessionRun(keepAlive: 0)
        run.attach()
        _ = run.submit("1")
        _ = run.submit("2")
        _ = run.on(.check)
        run.now = .seconds(29)
        #expect(run.on(.check).isEmpty)
        _ = run.acknowledge(.publishAcknowledgement, 1)
        _ = run.on(.check)
        run.now = .seconds(58)
        #expect(run.on(.check).isEmpty, "it answers")
        run.now = .seconds(59)
        #expect(run.on(.check).contains(.hangUp(saying: nil)))
    }

    @Test("have one outcome each, whatever the broker and the network do", arguments: 0..<200)
    func everyOutcome(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var run = MQTTSessionRun(resends: seed % 2 == 0, endsWithPatience: false, window: 5)
        var outcomes: [String: Int] = [:]
        var unanswered: [(type: PacketType, identifier: UInt16)] = []
        var isOpen = false
        var written = 0
        var submitted = 0
        func note(_ actions: [MQTTSessionRun.Session.Action]) {
            for case .complete(let ticket, _) in actions { outcomes[ticket, default: 0] += 1 }
            for packet in actions.sent {
                switch packet[0] >> 4 {
                case 3 where packet[0] & 6 == 0: written += 1
                case 3:
                    // Behind the topic `t`, with a remaining length of one byte.
                    let identifier = UInt16(packet[5]) << 8 | UInt16(packet[6])
                    unanswered.append((packet[0] & 6 == 2 ? .publishAcknowledgement : .publishReceived, identifier))
                case 6: unanswered.append((.publishComplete, UInt16(packet[2]) << 8 | UInt16(packet[3])))
                default: break
                }
            }
        }
        note(run.on(.start))
        for _ in 1...300 {
            run.now += .milliseconds(10)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...3:
                submitted += 1
                note(run.submit("\(submitted)", qos: QoS.allCases.randomElement(using: &random) ?? .atMostOnce))
            case 4 where isOpen && Int.random(in: 0..<4, using: &random) == 0:
                isOpen = false
                unanswered = []
                note(run.on(.lost(hungUp)))
            case 5 where !isOpen:
                note(run.on(.pauseOver))
                written = 0
                note(run.on(.connected))
                note(run.greet(session: Bool.random(using: &random)))
                isOpen = true
            case 6 where isOpen: note(run.on(.written(written)))
            case 7...9 where !unanswered.isEmpty:
                let (type, identifier) = unanswered.remove(at: Int.random(in: 0..<unanswered.count, using: &random))
                note(run.acknowledge(type, identifier))
            default: break
            }
        }
        note(run.on(.close(nil)))
        #expect(outcomes.count == submitted)
        #expect(outcomes.values.allSatisfy { $0 == 1 })
    }
}
