import Foundation
import ShuntCore
import ShuntRehearsal
import ShuntRules
import Testing

@Suite("Senders of many messages, and what is told of them")
struct RehearsedSenderTests {
    private func text(_ result: RehearsalResult) -> String { result.out.first.map { String(decoding: $0.payload, as: UTF8.self) } ?? "" }

    private let telling = """
        return { on_message = function(m)
          if m.payload == 'bye' then m.sender:close('bye') end
          return m:with { payload = m.id .. ' ' .. m.sender.id .. ' ' .. math.floor(m.sender.connected_at) }
        end }
        """

    @Test("A sender has one connection over all its messages, until a rule closes it; each message has an id of its own")
    func connections() throws {
        let rig = try Rig(["tell": telling])
        func send(_ sender: String, _ at: Int, _ more: String = "") throws -> [String] {
            try text(rig.run(#"{"topic":"t","payload":"p","at":\#(at),"sender":\#(sender)\#(more)}"#)).split(separator: " ").map(String.init)
        }
        let ada = try send(#"{"uid":"ada"}"#, 1000)
        let bob = try send(#"{"uid":"bob"}"#, 1001)
        let again = try send(#"{"uid":"ada"}"#, 1002)
        #expect([ada, bob, again].map { $0[0] } == ["1", "2", "3"])
        #expect(ada[1] == again[1] && ada[1] != bob[1])
        #expect([ada, bob, again].map { $0[2] } == ["1000", "1001", "1000"])
        let others = try [#"{"uid":"ada","id":7}"#, #"{"uid":"ada","id":8}"#, #"{"uid":"ada","client_id":"c"}"#].map { try send($0, 1003)[1] }
        #expect(Set(others + [ada[1]]).count == 4, "another connection, another client")
        #expect(try send(#"{"uid":"ada","connected_at":900}"#, 1004)[2] == "900")
        #expect(try send(#"{"uid":"ada"}"#, 1005, #","id":77"#)[0] == "77")
        #expect(try send(#"{"uid":"bob"}"#, 1006, #","payload_format":1"#)[1] == bob[1])
        _ = try rig.run(#"{"topic":"t","payload":"bye","at":1007,"sender":{"uid":"ada"}}"#)
        let after = try send(#"{"uid":"ada"}"#, 1008)
        #expect(after[1] != ada[1] && after[2] == "1008")
    }

    @Test("What a rule keeps for a connection is there for its next message, of each kind", arguments: ["topic", "chat", "broadcast"])
    func kept(kind: String) throws {
        let rule =
            "local function f(m) return route.reject(tostring(kv.incr('n' .. m.sender.id))) end\n"
            + "return { on_message = f, on_chat = f, on_broadcast = f }"
        let rig = try Rig(["limit": rule])
        let place = kind == "broadcast" ? #""filter":{"uid":"u"}"# : #""topic":"c""#
        let line = #"{"kind":"\#(kind)",\#(place),"payload":"p","sender":{"uid":"ada"}}"#
        #expect(try (0..<3).map { _ in try rig.run(line).why } == ["1", "2", "3"])
    }

    @Test(
        "The reason is the one of the rule that has decided about the message, not of one that has stopped a copy of it",
        arguments: [
            ("return route.reject('own')", "rejected", "own"), ("return route.drop('own')", "dropped", "own"), ("return route.drop()", "dropped", ""),
            ("return route.to('copy')", "dropped", "of the copy"), ("return nil", "passed", ""), ("return route.to('free')", "sent elsewhere", ""),
        ])
    func reasons(end: String, outcome: String, why: String) throws {
        let rig = try Rig([
            "own": "return { priority = 5, match = { topic = 't' }, on_message = function(m, c) c:emit(route.to('copy')) \(end) end }",
            "other": "return { match = { topic = 'copy' }, on_message = function(m) return route.drop('of the copy') end }",
        ])
        let result = try rig.run(#"{"topic":"t","payload":"p"}"#)
        #expect((result.outcome, result.why) == (outcome, why))
        if outcome == "rejected" { #expect(result.answer?.text == why) }
    }

    @Test("A compressed payload is given to rules as they read it")
    func compressed() throws {
        let rig = try Rig(["read": "return { on_message = function(m) return route.reject('id ' .. m:json().id .. ' of ' .. #m.payload) end }"])
        let packed = "H4sIAAAAAAACA6tWykxRsjKvBQBDXwcSCAAAAA=="
        #expect(try rig.run(#"{"topic":"t","payload_base64":"\#(packed)","compression":"gzip"}"#).why == "id 7 of 8")
        for (compression, message) in [("lz4", "the payload cannot be unpacked as lz4"), ("zip", #"compression is "zip""#)] {
            let error = #expect(throws: ShuntError.self) {
                try Rig.message(#"{"topic":"t","payload_base64":"\#(packed)","compression":"\#(compression)"}"#)
            }
            #expect(error?.message.hasPrefix(message) == true && error?.location == "message", "\(error?.message ?? "")")
        }
    }

    @Test("What is wrong in a line of a file is told with the line and the column")
    func places() {
        let error = #expect(throws: ShuntError.self) {
            try MessageDescription.messages(Array("{\"topic\":\"a\"}\n{\"topic\":\"b\" oh}\n".utf8), at: "m.jsonl")
        }
        #expect(error?.location == "m.jsonl:2:14")
    }
}
