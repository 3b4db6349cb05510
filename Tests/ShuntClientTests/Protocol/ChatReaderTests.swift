import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntClient

private let (ann, bob) = (ChatPeer(uid: "1", name: "ann"), ChatPeer(uid: "2", name: "bob"))

@Suite("What a chat's frames mean")
struct ChatReaderTests {
    @Test(
        "a notice tells what has become of a member",
        arguments: [
            ("joined", ChatEvent.joined(bob)), ("left", .left(bob)), ("rejoined", .rejoined(bob)), ("expired", .expired(bob)),
        ])
    func notices(event: String, expected: ChatEvent) {
        var reader = ChatReader(chat: "c")
        #expect(reader.read(notice(event, bob)) == SessionReading(message: expected))
    }

    @Test("a moved chat is followed, a destroyed one is over")
    func turns() {
        var reader = ChatReader(chat: "c")
        let moved = Frame(.chat, id: 1, format: .json, value: ChatNoticeBody(event: "moved", to: "a:1").encoded(), name: "c", key: "NOTICE")
        #expect(reader.read(moved) == SessionReading(turn: .moved(to: HostPort("a", 1))))
        let destroyed = Frame.chat(id: 1, .destroy, chat: "c")
        #expect(reader.read(destroyed) == SessionReading(message: .closed, turn: .over(.chatOver)))
    }

    @Test("a member whose place another connection has is told, and the session fails")
    func replaced() {
        var reader = ChatReader(chat: "c")
        let reading = reader.read(Frame(.chat, id: 1, json: #"{"event":"replaced"}"#, name: "c", key: "NOTICE"))
        #expect(reading == SessionReading(message: .replaced, turn: .failed(.replaced)))
        #expect(reader.others.isEmpty)
    }

    @Test("a broadcast to the member's device is told")
    func broadcast() {
        var reader = ChatReader(chat: "c")
        let notification = DeviceNotification(message: "x", id: 1)
        #expect(reader.read(.notify(id: 1, NotifyBody(message: "x"))) == SessionReading(message: .notification(notification)))
    }

    @Test(
        "what is not for this chat, or can not be read, is passed over",
        arguments: [
            Frame.chat(id: 1, .session, chat: "other", text: "x"), Frame(.chat, id: 1, text: "x", name: "c", key: "LATER"),
            Frame(.chat, id: 1, text: "x", name: "c"), Frame(.chat, id: 1, text: "{", name: "c", key: "NOTICE"),
            Frame(.chat, id: 1, json: #"{"event":"moved","to":"nowhere"}"#, name: "c", key: "NOTICE"),
            Frame(.message, id: 1, text: "x", name: "c", key: "SESSION"), Frame(.ping, id: 1),
            Frame(acknowledging: 1, status: 500, text: "x"),
        ])
    func ignored(frame: Frame) {
        var reader = ChatReader(chat: "c")
        #expect(reader.read(frame) == SessionReading())
    }

    @Test(
        "a message's sender is the one other member that is known",
        arguments: [
            ([], nil), ([("joined", bob)], bob), ([("joined", bob), ("left", bob)], bob),
            ([("joined", bob), ("joined", ann)], nil), ([("joined", bob), ("joined", ann), ("expired", ann)], bob),
            ([("joined", bob), ("expired", bob)], nil), ([("of another kind", bob)], bob), ([("present", bob)], bob),
            ([("joined", ChatPeer(uid: "2", name: "robert")), ("rejoined", bob)], bob),
        ] as [([(String, ChatPeer)], ChatPeer?)])
    func sender(notices: [(String, ChatPeer)], sender: ChatPeer?) {
        var reader = ChatReader(chat: "c")
        for (event, peer) in notices { _ = reader.read(notice(event, peer)) }
        let reading = reader.read(.chat(id: 9, .session, chat: "c", text: "hi"))
        #expect(reading == SessionReading(message: .message(ChatMessage(sender: sender, payload: Array("hi".utf8)))))
    }

    @Test("who has left for good sends nothing any more")
    func leftForGood() {
        var reader = ChatReader(chat: "c")
        for (event, peer) in [("joined", bob), ("joined", ann)] { _ = reader.read(notice(event, peer)) }
        let left = #"{"event":"left","uid":"2","name":"bob","for_good":true}"#
        #expect(reader.read(Frame(.chat, id: 1, json: left, name: "c", key: "NOTICE")) == SessionReading(message: .left(bob)))
        #expect(reader.others == [ann])
    }

    @Test("what an absent member has sent is known to be its own, as soon as it has been introduced")
    func absent() {
        var reader = ChatReader(chat: "c")
        let notice = #"{"event":"present","online":false,"uid":"2","name":"bob"}"#
        #expect(reader.read(Frame(.chat, id: 1, json: notice, name: "c", key: "NOTICE")) == SessionReading())
        let reading = reader.read(.chat(id: 9, .session, chat: "c", text: "hi"))
        #expect(reading == SessionReading(message: .message(ChatMessage(sender: bob, payload: Array("hi".utf8)))))
    }

    @Test("remembers a bounded number of members")
    func bounded() {
        var reader = ChatReader(chat: "c")
        for number in 0..<1000 { _ = reader.read(notice("joined", ChatPeer(uid: "\(number)"))) }
        #expect(reader.others.count == 64)
    }

    @Test("the connection's news tell the first join from a return")
    func news() {
        let reader = ChatReader(chat: "c")
        let (a, b) = (HostPort("a", 1), HostPort("b", 1))
        let gone = ShuntError(.connectionLost, "gone")
        #expect(reader.read(.redirected(from: a, to: b)) == .moved(to: b))
        #expect(reader.read(.attached(b, isBack: false)) == .entered(b))
        #expect(reader.read(.lost(b, gone)) == .lost(b, gone))
        #expect(reader.read(.attached(a, isBack: true)) == .reconnected(a))
    }

    private func notice(_ event: String, _ peer: ChatPeer) -> Frame {
        let body = ChatNoticeBody(event: event, uid: peer.uid, name: peer.name)
        return Frame(.chat, id: 1, format: .json, value: body.encoded(), name: "c", key: "NOTICE")
    }
}

@Suite("A report of a broadcast")
struct NotifyReportTests {
    private static let (a, b) = (HostPort("a", 1), HostPort("b", 1))
    private static let away = ShuntError(.addressUnavailable, "away")

    @Test(
        "reads a worker's answer",
        arguments: [
            (Frame(acknowledging: 1, text: "3 matched, 2 sent, 1 not sent (too slow)"), NotifyCounts(matched: 3, sent: 2)),
            (Frame(acknowledging: 1), nil), (Frame(acknowledging: 1, text: "3 matched"), nil),
            (Frame(acknowledging: 1, text: "-3 matched, 2 sent"), nil), (Frame(acknowledging: 1, text: "all matched, all sent"), nil),
            (Frame(acknowledging: 1, text: "9223372036854775807 matched, 1 sent"), nil),
        ] as [(Frame, NotifyCounts?)])
    func delivered(answer: Frame, counts: NotifyCounts?) {
        #expect(NotifyReport.Outcome(answer) == .delivered(counts, text: answer.text))
    }

    @Test("tells a worker without a match from one that refuses")
    func refused() {
        #expect(NotifyReport.Outcome(Frame(acknowledging: 1, status: 500, text: "The register device live list is empty")) == .noMatch)
        #expect(NotifyReport.Outcome(Frame(acknowledging: 1, status: 403, text: "no")) == .refused(Refusal(status: 403, text: "no")))
    }

    @Test(
        "fails only if no device got it, and says why",
        arguments: [
            ([.delivered(NotifyCounts(matched: 2, sent: 1), text: ""), .unreachable(away)], nil), ([.delivered(nil, text: ""), .noMatch], nil),
            ([.noMatch, .noMatch], .deviceNone), ([.noMatch, .unreachable(away)], .deviceNone),
            ([.unreachable(away), .unreachable(away)], .addressUnavailable),
            ([.delivered(NotifyCounts(matched: 2, sent: 0), text: ""), .noMatch], .slowConsumer),
            ([.noMatch, .refused(Refusal(status: 403, text: "no"))], .ruleRejected),
        ] as [([NotifyReport.Outcome], ErrorCode?)])
    func failure(outcomes: [NotifyReport.Outcome], code: ShuntCore.ErrorCode?) {
        let report = NotifyReport(workers: zip([Self.a, Self.b], outcomes).map { NotifyReport.Worker($0, $1) })
        #expect(report.failure?.code == code)
        #expect(report.isDelivered == (code == nil))
    }

    @Test("adds up what the workers count")
    func sums() {
        let report = NotifyReport(workers: [
            .init(Self.a, .delivered(NotifyCounts(matched: 3, sent: 2), text: "")), .init(Self.b, .delivered(nil, text: "")),
            .init(Self.b, .delivered(NotifyCounts(matched: 10, sent: 10), text: "")),
        ])
        #expect(report.counts == NotifyCounts(matched: 13, sent: 12))
    }
}

@Suite("A server's no")
struct RefusalTests {
    @Test(
        "has the code that its text or status stands for, and none that it might not mean",
        arguments: [
            (Int16(500), "The worker subscriber is empty", ErrorCode.topicNoSubscriber), (500, "not found server", .workerNone),
            (503, "Service Unavailable", .masterUnavailable), (307, "a:1", .workerElsewhere), (403, "no", .ruleRejected),
            (409, "full", .chatFull), (413, "too large", .frameTooLarge), (400, "a device's uid is empty; 1 to 256 bytes", .refused),
            (404, "no such chat", .refused), (429, "1000 subscriptions", .refused), (500, "oh", .refused), (503, "full", .refused),
        ])
    func code(status: Int16, text: String, code: ShuntCore.ErrorCode) {
        let error = Refusal(Frame(acknowledging: 1, status: status, text: text)).error(at: "w:1")
        #expect(error.code == code)
        #expect(error.description.hasPrefix("w:1: refused with status \(status): \(text) (\(code.rawValue))"))
    }
}
