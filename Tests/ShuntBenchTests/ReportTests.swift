import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntBench

@Suite("A report")
struct ReportTests {
    private func report(_ name: String = "p2p-10-10-100-100", change: (inout LoadSettings.MessageSettings) -> Void = { _ in }) throws -> BenchReport {
        var messages = LoadSettings.MessageSettings(try Scenario(name))
        messages.qos = .atLeastOnce
        change(&messages)
        let settings = LoadSettings(.messages(messages), broker: HostPort("127.0.0.1", 1883), prefix: "p", seed: 1)
        var figures = LoopFigures()
        (figures.sent, figures.sentMeasured, figures.received, figures.receivedMeasured, figures.distinct) = (1200, 1000, 1199, 999, 1198)
        (figures.duplicates, figures.outstanding, figures.unacknowledged) = (1, 2, 1)
        for value in 1...100 { figures.latencies.record(value * 10_000) }
        var report = BenchReport(settings)
        report.connections = BenchReport.Connections(wanted: 20, made: 20)
        report.messages = BenchReport.Messages(figures, messages, due: 1210, seconds: 10)
        return report
    }

    @Test("says what was lost, and how much a second")
    func messages() throws {
        let messages = try #require(try report().messages)
        #expect((messages.sent, messages.received, messages.lost, messages.duplicates) == (1200, 1199, 2, 1))
        #expect((messages.unsent, messages.unacknowledged, messages.grantedQos) == (10, 3, 1))
        #expect((messages.sentPerSecond, messages.receivedPerSecond, messages.megabytesPerSecond) == (100, 99.9, 0.01))
        #expect(try report().hasLostMessages)
        #expect(try !report { $0.qos = .atMostOnce }.hasLostMessages, "QoS 0 promises nothing")
    }

    @Test("counts all copies of a fan-out as expected")
    func copies() throws {
        #expect(try report("fanout-1-5-100-500").messages?.lost == 1200 * 5 - 1198)
    }

    @Test("comes back from its JSON as it was; anything else is refused with the file's name")
    func json() throws {
        let report = try report()
        #expect(try BenchReport(json: Array(report.json().utf8), name: "a.json") == report)
        #expect(report.json().contains(#""received_per_second" : 99.9"#))
        for text in ["", "{}", "[1]", report.json().replacing(#""format" : 1"#, with: #""format" : 2"#)] {
            let error = #expect(throws: ShuntError.self) { try BenchReport(json: Array(text.utf8), name: "a.json") }
            #expect(error?.location == "a.json")
            #expect(error?.code == .payloadInvalid)
        }
    }

    @Test("beside an earlier one has ratios, and says what was not alike")
    func comparison() throws {
        let before = try report()
        var now = try report()
        now.messages?.receivedPerSecond = 199.8
        let same = Comparison(now, before: before)
        #expect(same.differences == [])
        #expect(same.rows.first { $0.figure.name == "received a second" }?.ratio == 2)
        #expect(same.rows.first { $0.figure.name == "sent" }?.ratio == 1)
        #expect(same.rows.first { $0.figure.name == "connections lost" }?.ratio == nil, "nothing is a share of 0")
        let other = Comparison(try report("fanout-1-5-100-500") { ($0.qos, $0.size, $0.perSecond) = (.atMostOnce, 16, nil) }, before: before)
        #expect(
            other.differences == [
                "scenario: p2p-10-10-100-100 before, fanout-1-5-100-500 now", "rate: 100 before, max now", "QoS: 1 before, 0 now",
                "payload size: 100 before, 16 now", "inflight: 100 before, none now",
            ])
        #expect(same.json().contains(#""received a second" : 2"#))
        #expect(try BenchReport(json: Array(same.json().utf8), name: "") == now, "a comparison can be compared with")
    }

    @Test("for people is a table whose columns stand below one another")
    func table() throws {
        let text = ReportText(Comparison(try report(), before: try report())).text
        let lines = text.split(separator: "\n")
        #expect(lines[0] == "p2p-10-10-100-100 at 127.0.0.1:1883, MQTT 5.0, QoS 1, 100 bytes, 100 messages a second, 10 s after 2 s of warm-up")
        let words = lines.map { $0.split(separator: " ") }
        #expect(words[1] == ["now", "before", "ratio"])
        #expect(Set(lines[1...].map(\.count)).count == 1)
        #expect(words.contains(["latency", "p50", "500", "µs", "500", "µs", "1.00"]))
    }

    @Test("warns of what takes from the figures' meaning")
    func warnings() throws {
        var report = try report()
        report.processor = 0.97
        report.connections.reasons = ["closed by the broker": 2]
        report.messages?.grantedQos = 0
        #expect(
            ReportText(Comparison(report)).warnings == [
                "2: closed by the broker", "2 messages were lost", "3 messages were not acknowledged",
                "10 messages that were due were not sent, and are not in the latencies: the broker did not keep up",
                "the broker granted QoS 0 to subscriptions of QoS 1",
                "a thread of the load took 97 % of a processor: the load may be the limit; --threads gives it more",
            ])
    }
}

@Suite("Reasons")
struct ReasonTests {
    @Test("are counted, and bounded however many there are")
    func tally() {
        var tally = ReasonTally()
        for number in 0..<100 { tally.note("reason \(number)") }
        tally.note("reason 3", count: 4)
        #expect(tally.counts.count == ReasonTally.maximumReasons + 1)
        #expect(tally.counts["reason 3"] == 5)
        #expect(tally.counts[ReasonTally.others] == 80)
        var sum = ReasonTally()
        sum.merge(tally)
        #expect(sum == tally)
    }

    @Test(
        "of MQTT are told in words and by number",
        arguments: [
            (ReasonCode.badUserNameOrPassword, "bad user name or password (0x86)"), (.notAuthorized, "not authorized (0x87)"),
            (.success, "success (0x00)"), (.grantedQoS1, "granted QoS1 (0x01)"), (.qosNotSupported, "qos not supported (0x9B)"),
        ])
    func words(code: ReasonCode, text: String) { #expect(code.words == text) }
}

@Suite("The line of progress")
struct SnapshotTests {
    private func snapshot(_ phase: Load.Phase, time: Int = 0, sent: Int = 0, received: Int = 0) -> LoadSnapshot {
        LoadSnapshot(
            phase: phase, time: time, elapsed: 3.7, length: 12, connections: 2000, open: 1500, failed: 2, sent: sent, received: received, left: 7,
            p99: 412_000)
    }

    @Test("says how far it is, and how much came since the last one")
    func text() {
        let then = snapshot(.sending, time: 0, sent: 1000, received: 500)
        let now = snapshot(.sending, time: 500_000_000, sent: 2000, received: 2500)
        #expect(
            now.text(since: then) == "3 s of 12 s  sent 2,000 (2,000/s)  received 2,500 (4,000/s)  p99 412 µs  1,500 connections, 2 failed")
        #expect(now.text(since: nil).hasPrefix("3 s of 12 s  sent 2,000  received 2,500"))
        #expect(snapshot(.connecting).text(since: nil) == "connecting: 1,500 of 2,000, 2 failed")
        #expect(snapshot(.holding).text(since: nil) == "3 s of 12 s  1,500 connections held, 2 failed")
        #expect(snapshot(.draining).text(since: nil) == "waiting for 7 messages")
    }
}
