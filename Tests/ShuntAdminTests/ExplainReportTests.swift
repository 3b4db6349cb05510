import ShuntCore
import ShuntJSON
import Testing

@testable import ShuntAdmin

@Suite("What is told of messages") struct ExplainReportTests {
    private static func answer(_ change: (inout ExplainRecord) -> Void) -> ExplainRecord {
        var answer = ExplainRecord()
        answer.outcome = "delivered"
        change(&answer)
        return answer
    }

    @Test("Where nobody gets it, the words say why and what may have been meant")
    func nobody() {
        let answer = Self.answer {
            ($0.outcome, $0.why) = ("nobody", "nobody has subscribed the topic")
            var route = ExplainRecord.Route(topic: "order/7", by: nil)
            route.nearest = "orders/7"
            $0.routes = [route]
        }
        let text = ExplainReport.text(answer, topic: "order/7", uid: "bob", width: nil)
        #expect(text.contains("nobody gets it: nobody has subscribed the topic"))
        #expect(text.contains("did you mean orders/7?"))
    }

    @Test("Workers that differ in nothing but times are told together")
    func together() throws {
        let rule = ExplainRecord.Rule(rule: "r", topic: "t", verdict: "pass", why: "", seconds: 1, changes: [], sends: [])
        let one = Self.answer { $0.rules = [rule] }
        var two = one
        two.rules[0].seconds = 2
        let other = Self.answer { $0.outcome = "nobody" }
        struct Given: Encodable {
            var worker: String
            var answer: ExplainRecord
        }
        let given = [("a", one), ("b", other), ("c", two)].map { Given(worker: $0, answer: $1) }
        let workers = try RecordJSON.decode([ExplainReport.Worker].self, from: try RecordJSON.encode(given))
        #expect(ExplainReport.together(workers).map(\.workers) == [["a", "c"], ["b"]])
    }

    @Test("Nothing of a message steers the terminal")
    func controls() {
        var message = TracedMessage(at: 1, loop: 0, topic: "t\u{1B}[31m")
        message.payload = "a\u{1B}]0;x\u{7}\nb"
        message.steps = [.init(rule: "r", verdict: "reject", why: "\u{202E}why", seconds: 1e-6, topic: message.topic)]
        message.outcome = "rejected"
        let lines = TraceReport.lines("w:1", message)
        #expect(!lines.contains("\u{1B}") && !lines.contains("\u{7}") && !lines.contains("\u{202E}"))
        #expect(lines.split(separator: "\n").count == 4)
    }

    @Test("A recorded message has what `rule run --messages` takes")
    func recorded() throws {
        var message = TracedMessage(at: 2, loop: 0, topic: "orders/1")
        (message.payload, message.uid, message.format) = ("{}", "ada", "json")
        let line = String(decoding: try RecordJSON.encode(RecordedMessage(message)), as: UTF8.self)
        #expect(
            line == #"{"at":2,"format":"json","payload":"{}","qos":0,"retain":false,"sender":{"uid":"ada"},"topic":"orders/1"}"#)
    }
}
