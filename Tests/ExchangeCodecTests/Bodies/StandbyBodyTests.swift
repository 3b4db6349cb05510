import ExchangeCodec
import ShuntCore
import Testing

@Suite("What masters of one cluster say to workers and to each other")
struct StandbyBodyTests {
    @Test(
        "A heartbeat's answer, as text",
        arguments: [
            ("shunt", HeartbeatReply.serving(mustReport: false, nil)),
            ("shunt report", .serving(mustReport: true, nil)),
            ("shunt term=5 version=2 of=3", .serving(mustReport: false, .init(term: 5, version: 2, size: 3))),
            ("shunt report term=5 version=0 of=0", .serving(mustReport: true, .init(term: 5, version: 0, size: 0))),
            ("shunt standby term=5", .standby(.init(term: 5))),
            ("shunt standby term=5 go=10.0.0.1:4088", .standby(.init(term: 5, serving: "10.0.0.1:4088"))),
            ("shunt standby term=5 vote=6 for=[::1]:4088", .standby(.init(term: 5, vote: .init(term: 6, candidate: "[::1]:4088")))),
        ])
    func replies(text: String, reply: HeartbeatReply) {
        #expect(reply.text == text)
        #expect(HeartbeatReply(text) == reply)
    }

    @Test(
        "Words that it does not know mean nothing, and another text is a Java master's",
        arguments: [
            ("shunt later=7 term=1 of=-3", HeartbeatReply.serving(mustReport: false, .init(term: 1, version: 0, size: 0))),
            ("shunt standby vote=6", .standby(.init(term: 0))), ("", nil), ("Shunt", nil), ("standby", nil),
            ("shunt term=99999999999999999999", .serving(mustReport: false, nil)),
        ])
    func unknown(text: String, reply: HeartbeatReply?) { #expect(HeartbeatReply(text) == reply) }

    @Test("A worker's ballot is in its heartbeat, where it knows of several masters")
    func ballot() throws {
        var body = HeartbeatBody(serverPort: 4091, createdTime: 1, shunt: ShuntExtension(version: "1", boot: "b"))
        #expect(!String(decoding: body.encoded(), as: UTF8.self).contains("ballot"))
        body.shunt?.ballot = Ballot(term: 4, version: 2, size: 3, promised: 5, candidate: "m:4088")
        let read = try body.encoded().withUnsafeBytes { try HeartbeatBody(decoding: $0) }
        #expect(read.shunt?.ballot == body.shunt?.ballot)
    }

    @Test("A master's state")
    func state() throws {
        var state = MasterStateBody(
            address: "m:4088", term: 4, isServing: true, version: 2, members: ["a:1", "b:1"], workers: ["b:1"], known: .init(term: 3, version: 9))
        state.voters = 2
        #expect(try state.encoded().withUnsafeBytes { try MasterStateBody(decoding: $0) } == state)
        let short = MasterStateBody(address: "m:4088", term: 0, isServing: false)
        #expect(try short.encoded().withUnsafeBytes { try MasterStateBody(decoding: $0) } == short)
        for text in ["{}", "{address:'nowhere'}", "[]", ""] {
            #expect(throws: ShuntError.self) { try Array(text.utf8).withUnsafeBytes { try MasterStateBody(decoding: $0) } }
        }
    }

    @Test("Members that fit into no frame are left out, and workers beyond the bound")
    func bounds() throws {
        let names = (0..<10_000).map { String(repeating: "x", count: 250) + ":\($0)" }
        let state = MasterStateBody(address: "m:1", term: 1, isServing: true, members: names, workers: names)
        let read = try state.encoded().withUnsafeBytes { try MasterStateBody(decoding: $0) }
        #expect(read.members == nil && read.workers.count == MasterStateBody.maximumWorkers)
        #expect(state.encoded().count < 1 << 20)
    }
}
