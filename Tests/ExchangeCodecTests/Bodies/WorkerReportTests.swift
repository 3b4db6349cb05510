import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("Bodies between our own workers, masters and clients")
struct WorkerReportTests {
    static func devices(_ count: Int, _ random: inout SeededGenerator) -> DeviceBatchBody {
        var body = DeviceBatchBody(worker: WorkerSource(host: "w1", port: 4091), isFirst: true, isLast: true)
        for number in 0..<count {
            body.registered.append(
                .init(
                    uid: "u" + random.text(upTo: 40), device: "d\(number)",
                    tags: (0..<number % 4).map { _ in random.text(upTo: 30) },
                    alias: (0..<number % 3).map { _ in random.text(upTo: 30) }, address: "10.0.0.1:\(number)", connectedAt: 1,
                    registeredAt: Int64(number)))
            body.left.append(.init(uid: "u" + random.text(upTo: 40), device: "d\(number)", registeredAt: 2))
        }
        return body
    }

    static func chats(_ count: Int, _ random: inout SeededGenerator) -> ChatReportBody {
        var body = ChatReportBody(worker: WorkerSource(port: 4091), isFirst: true, isLast: true)
        for number in 0..<count {
            body.chats.append(.init(chat: "c" + random.text(upTo: 60), createdAt: Int64(number), members: number % 5))
            body.closed.append(.init(chat: "x" + random.text(upTo: 60), createdAt: 7))
        }
        return body
    }

    @Test("What is written is read again, whatever the texts hold", arguments: 1...20)
    func roundTrips(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let devices = Self.devices(30, &random)
        #expect(try devices.encoded().withUnsafeBytes { try DeviceBatchBody(decoding: $0) } == devices)
        let chats = Self.chats(30, &random)
        #expect(try chats.encoded().withUnsafeBytes { try ChatReportBody(decoding: $0) } == chats)
    }

    @Test(
        "A batch is split into bodies within the limits that hold the same in the same order",
        arguments: [
            ReportLimits(bytes: 4096), ReportLimits(bytes: 2048, values: 60), ReportLimits(values: 50),
        ])
    func splits(limits: ReportLimits) {
        var random = SeededGenerator(seed: 3)
        let devices = Self.devices(200, &random)
        let parts = devices.split(limits)
        #expect(parts.count > 1)
        #expect(parts.allSatisfy { $0.encoded().count <= limits.bytes })
        #expect(parts.flatMap(\.registered) == devices.registered)
        #expect(parts.flatMap(\.left) == devices.left)
        #expect(parts.map(\.isFirst) == [true] + parts.dropFirst().map { _ in false })
        #expect(parts.map(\.isLast) == parts.dropLast().map { _ in false } + [true])
        let chats = Self.chats(200, &random)
        let reports = chats.split(limits)
        #expect(reports.count > 1)
        #expect(reports.allSatisfy { $0.encoded().count <= limits.bytes })
        #expect(reports.flatMap(\.chats) == chats.chats)
        #expect(reports.flatMap(\.closed) == chats.closed)
        #expect(reports.map(\.isLast) == reports.dropLast().map { _ in false } + [true])
    }

    @Test("By default every body is under 1 MiB and within what the parser takes; what fits stays whole, an empty list too")
    func defaults() throws {
        let many = DeviceBatchBody(
            worker: WorkerSource(port: 1),
            registered: (0..<30_000).map {
                .init(uid: "u\($0)", device: "d", address: "10.0.0.1:1", connectedAt: 1, registeredAt: 1)
            })
        let parts = many.split()
        #expect(parts.count > 1)
        for part in parts {
            let bytes = part.encoded()
            #expect(bytes.count < 1 << 20)
            #expect(try bytes.withUnsafeBytes { try DeviceBatchBody(decoding: $0) } == part)
        }
        let empty = DeviceBatchBody(worker: WorkerSource(port: 1), isFirst: true, isLast: true)
        #expect(empty.split() == [empty])
        var random = SeededGenerator(seed: 1)
        let few = Self.devices(3, &random)
        #expect(few.split() == [few])
        let chats = Self.chats(3, &random)
        #expect(chats.split() == [chats])
    }

    @Test(
        "What is no report is refused with a sentence",
        arguments: [
            ("{}", "'port' is missing"), (#"{"port":1,"registered":[1]}"#, "'registered' is a number that can not be taken"),
            (#"{"port":1,"registered":[{"uid":"u"}]}"#, "'device' is missing"),
            (#"{"port":1,"left":[{"device":"d"}]}"#, "'uid' is missing"),
            (#"{"port":1,"first":3}"#, "'first' is a number that can not be taken"),
        ])
    func refusesDevices(_ text: String, _ message: String) {
        let error = #expect(throws: ShuntError.self) { try text.asJSON { try DeviceBatchBody(decoding: $0) } }
        #expect(error?.message == message)
    }

    @Test(
        "What is no chat report is refused with a sentence",
        arguments: [
            ("[]", "the text is not an object"), (#"{"port":1,"chats":[{"created":1}]}"#, "'id' is missing"),
            (#"{"port":1,"closed":["a"]}"#, "'closed' is a string that can not be taken"),
        ])
    func refusesChats(_ text: String, _ message: String) {
        let error = #expect(throws: ShuntError.self) { try text.asJSON { try ChatReportBody(decoding: $0) } }
        #expect(error?.message.hasPrefix(message) == true)
    }

    @Test("CREATE's object says who joins and what is understood; what is none is refused with chat.invalid")
    func joins() throws {
        for body in [ChatJoinBody(name: "Ann \"A\""), ChatJoinBody(takesNotices: false)] {
            #expect(try body.encoded().withUnsafeBytes { try ChatJoinBody(decoding: $0) } == body)
        }
        #expect(try "{}".asJSON { try ChatJoinBody(decoding: $0) } == ChatJoinBody(takesNotices: false))
        for text in ["x", #"{"notices":"perhaps"}"#, #"{"name":"\#(String(repeating: "n", count: 257))"}"#] {
            let error = #expect(throws: ShuntError.self) { try text.asJSON { try ChatJoinBody(decoding: $0) } }
            #expect(error?.code == .chatInvalid)
        }
    }

    @Test(
        "A notice is read as it was written",
        arguments: [
            (ChatNoticeBody(event: "left", uid: "ann"), #"{"event":"left","uid":"ann"}"#),
            (ChatNoticeBody(event: "joined", uid: "", name: "Bob"), #"{"event":"joined","name":"Bob"}"#),
            (ChatNoticeBody(event: "moved", to: "w2:4091"), #"{"event":"moved","to":"w2:4091"}"#),
        ])
    func notices(_ body: ChatNoticeBody, _ text: String) throws {
        #expect(String(decoding: body.encoded(), as: UTF8.self) == text)
        #expect(try text.asJSON { try ChatNoticeBody(decoding: $0) } == body)
    }
}

extension String {
    fileprivate func asJSON<Result>(_ body: (Bytes) throws -> Result) rethrows -> Result {
        try Array(utf8).withUnsafeBytes(body)
    }
}
