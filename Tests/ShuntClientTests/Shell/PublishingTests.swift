import ExchangeCodec
import Glibc
import ShuntClient
import ShuntCore
import Testing

@testable import ShuntShell

@Suite("Lines of standard input")
struct LineSplitterTests {
    @Test("are the same however the input is cut", arguments: 1...12)
    func chunks(size: Int) throws {
        let input = Array("one\n\ntwo\r\n  three \n\r\nlast".utf8)
        var splitter = LineSplitter(limit: 100)
        var lines: [[UInt8]] = []
        for start in stride(from: 0, to: input.count, by: size) {
            lines += try splitter.lines(in: Array(input[start..<min(start + size, input.count)]))
        }
        if let last = try splitter.last() { lines.append(last) }
        #expect(lines.map { String(decoding: $0, as: UTF8.self) } == ["one", "two", "  three ", "last"])
    }

    @Test("keep a carriage return where lines end at a line feed alone", arguments: 1...4)
    func carriageReturn(size: Int) throws {
        let input = Array("\u{FEFF}a\r\n\r\nb\r".utf8)
        var splitter = LineSplitter(limit: 100, keepsCarriageReturn: true)
        var lines: [[UInt8]] = []
        for start in stride(from: 0, to: input.count, by: size) {
            lines += try splitter.lines(in: Array(input[start..<min(start + size, input.count)]))
        }
        if let last = try splitter.last() { lines.append(last) }
        #expect(lines == [Array("\u{FEFF}a\r".utf8), [13], Array("b\r".utf8)])
    }

    @Test("are bounded, and the error names the line", arguments: [1, 4, 64])
    func limit(size: Int) {
        let input = Array("12345678\n123456789\n".utf8)
        let error = #expect(throws: ShuntError.self) {
            var splitter = LineSplitter(limit: 8)
            for start in stride(from: 0, to: input.count, by: size) {
                _ = try splitter.lines(in: Array(input[start..<min(start + size, input.count)]))
            }
        }
        #expect(error?.code == .frameTooLarge)
        #expect(error?.location == "standard input:2")
    }
}

@Suite("The format of a payload")
struct FormatChoiceTests {
    @Test(
        "is found by its first and last characters, unless it is said",
        arguments: [
            ("{}", PayloadFormat.json), (" [1] \t", .json), ("{\"a\":1", .text), ("hello", .text), ("[x}", .text), (" ", .text),
            ("", .text), ("1", .text),
        ])
    func automatic(payload: String, format: ShuntCore.PayloadFormat) {
        #expect(FormatChoice.automatic.format(of: Array(payload.utf8)) == format)
        #expect(FormatChoice.text.format(of: Array(payload.utf8)) == .text)
        #expect(FormatChoice.json.format(of: Array(payload.utf8)) == .json)
    }
}

@Suite("What is said to be JSON")
struct JSONCheckTests {
    @Test(
        "is right",
        arguments: [
            "{}", "[]", " 1 ", "-0.5e+10", "\"\\u00e9\\n ü\"", "true", "null", #"{"a":[1,{"b":"c"},[]], "d" : false}"#, "[[[]]]\n", "0",
        ])
    func right(text: String) { #expect(JSONCheck.firstFault(in: Array(text.utf8)) == nil) }

    @Test(
        "is wrong from an offset on",
        arguments: [
            ("", 0), ("x", 0), ("{", 1), ("[1,]", 3), ("{\"a\"}", 4), ("{\"a\":1,}", 7), ("01", 1), ("1 2", 2), ("[1}", 2), ("\"a", 2),
            ("tru", 0), ("1.", 2), ("\"\\x\"", 2), ("\"\n\"", 1), ("-", 1), ("{a:1}", 1), ("]", 0), ("\u{FEFF}{}", 0), ("\"\\u12\"", 2),
        ])
    func wrong(text: String, offset: Int) { #expect(JSONCheck.firstFault(in: Array(text.utf8)) == offset) }

    @Test("is UTF-8, and may be deep")
    func bytes() {
        #expect(JSONCheck.firstFault(in: [0x22, 0xFF, 0x22]) != nil)
        let deep = Array(repeating: UInt8(ascii: "["), count: 1_000_000) + Array(repeating: UInt8(ascii: "]"), count: 1_000_000)
        #expect(JSONCheck.firstFault(in: deep) == nil)
    }
}

@Suite("The pace of messages")
struct PacerTests {
    @Test("is even, and does not make up for a stall by a burst")
    func even() {
        var pacer = Pacer(rate: 10)
        #expect(pacer.wait(at: .seconds(5)) == .zero)
        #expect(pacer.wait(at: .seconds(5)) == .milliseconds(100))
        #expect(pacer.wait(at: .milliseconds(5100)) == .milliseconds(100))
        #expect(pacer.wait(at: .seconds(60)) == .zero)
        #expect(pacer.wait(at: .seconds(60)) >= .milliseconds(99))
    }

    @Test("holds a high rate over many small waits", arguments: [100.0, 5000, 250_000])
    func rate(perSecond: Double) {
        var pacer = Pacer(rate: perSecond)
        var now = Duration.zero
        let count = Int(perSecond * 2)
        for _ in 0..<count { now += pacer.wait(at: now) }
        #expect(abs(now / .seconds(1) - 2) < 0.02)
    }

    @Test(
        "is read as a number per second, minute or hour",
        arguments: [
            ("100", 100.0), ("0.5/s", 0.5), ("30/m", 0.5), ("3600/h", 1),
        ])
    func read(text: String, rate: Double) throws { #expect(try Pacer.rate(text) == rate) }

    @Test("is refused otherwise", arguments: ["", "0", "-1", "fast", "1/", "1/d", "nan", "inf", "1e10"])
    func refused(text: String) {
        let error = #expect(throws: ShuntError.self) { try Pacer.rate(text) }
        #expect(error?.code == .usage)
    }
}

@Suite("The report of shunt pub")
struct PublishReportTests {
    @Test(
        "sums up in one line",
        arguments: [
            (10000, 10000, 0, 0, 420, "10000 sent, 10000 acknowledged, 0 refused in 0.42 s (23,800/s)", Int32(0)),
            (1, 1, 0, 0, 3, "1 sent, 1 acknowledged, 0 refused in 0.00 s", 0),
            (3, 1, 2, 0, 1500, "3 sent, 1 acknowledged, 2 refused in 1.50 s", 65),
            (3, 2, 0, 1, 2000, "3 sent, 2 acknowledged, 0 refused, 1 of unknown outcome in 2.00 s (1/s)", 69),
        ])
    func summary(sent: Int, acknowledged: Int, refused: Int, unknown: Int, milliseconds: Int, text: String, exitCode: Int32) {
        var totals = SendPipeline.Totals()
        totals.submitted = sent
        totals.acknowledged = acknowledged
        totals.refused = refused
        totals.unknown = unknown
        let report = PublishReport(totals: totals, elapsed: .milliseconds(milliseconds))
        #expect(report.summary == text)
        #expect(report.exitCode == exitCode)
    }

    @Test(
        "writes rates with three digits and commas",
        arguments: [
            (0.5, "0.50"), (7, "7"), (999, "999"), (23_809, "23,800"), (1_234_567, "1,230,000"), (999_999, "1,000,000"),
        ])
    func rates(number: Double, text: String) { #expect(PublishReport.grouped(number) == text) }

    @Test("counts reasons, and keeps a bounded number of them")
    func reasons() {
        let tally = FailureTally()
        for number in 0..<100 {
            let refusal = Refusal(status: 403, text: number < 10 ? "same" : "\(number)")
            tally.note(SendFailure(.refused(refusal), ShuntError(.ruleRejected, "")))
        }
        #expect(tally.reasons.count == FailureTally.maximumReasons)
        #expect(tally.reasons.first == .init(text: "refused: 403 same (rule.rejected)", count: 10))
        #expect(tally.reasons.reduce(tally.others) { $0 + $1.count } == 100)
        let report = PublishReport(totals: .init(), elapsed: .zero, reasons: tally.reasons, others: tally.others)
        #expect(report.details.count == 6)
        #expect(report.details.last == "  86 for other reasons")
    }
}

@Suite("shunt pub", .timeLimit(.minutes(2)))
struct PublicationTests {
    @Test("sends a payload so many times, and reports what was refused")
    func count() async throws {
        let number = Box(0)
        let worker = try await FakeServer.start { frame in
            number.change { $0 += 1 }
            return [Frame(acknowledging: frame.id, status: number.value % 4 == 0 ? 403 : 200, text: "no")]
        }
        let producer = try await Producer.connect(configuration(worker))
        let publication = Publication(topic: "t", key: "k", source: .payload(Array("{}".utf8), count: 20))
        let report = await publication.run(on: producer)
        #expect(report.totals.acknowledged == 15 && report.totals.refused == 5)
        #expect(report.reasons == [.init(text: "refused: 403 no (rule.rejected)", count: 5)])
        #expect(report.exitCode == 65)
        #expect(worker.received.allSatisfy { $0.format == .json && $0.key == "k" && $0.name == "t" })
        producer.close()
    }

    @Test("sends each line of its input, whatever the pipe makes of it")
    func lines() async throws {
        let worker = try await FakeServer.worker()
        let producer = try await Producer.connect(configuration(worker, window: 50))
        let (input, output) = try pipePair()
        let texts = (0..<20_000).map { "line \($0)" }
        let writer = Task { try await output.write(Array((texts.joined(separator: "\n") + "\n").utf8)) }
        let publication = Publication(topic: "t", source: .lines(input))
        let running = Task { await publication.run(on: producer) }
        #expect(try await writer.value)
        close(output.descriptor)
        let report = await running.value
        #expect(report.totals.acknowledged == texts.count)
        #expect(worker.received.map(\.text) == texts)
        close(input.descriptor)
        producer.close()
    }

    @Test(
        "is ended by a line that cannot be sent, and sums up what was sent before it",
        arguments: [
            (FormatChoice.json, "{}\n[1\n{}\n", ErrorCode.payloadInvalid),
            (.automatic, "x\n" + String(repeating: "y", count: 11 << 20) + "\nz\n", .frameTooLarge),
        ])
    func wrongLine(format: FormatChoice, text: String, code: ShuntCore.ErrorCode) async throws {
        let worker = try await FakeServer.worker()
        let producer = try await Producer.connect(configuration(worker))
        let (input, output) = try pipePair()
        let writer = Task {
            signal(SIGPIPE, SIG_IGN)
            _ = try await output.write(Array(text.utf8))
            close(output.descriptor)
        }
        let report = await Publication(topic: "t", source: .lines(input), format: format).run(on: producer)
        #expect(report.fault?.code == code)
        #expect(report.exitCode == code.exitCode)
        #expect(report.totals.acknowledged == 1 && report.totals.submitted == 1)
        close(input.descriptor)
        _ = try? await writer.value
        producer.close()
    }

    @Test("tries a message that has no subscriber again, in order, until the time is up")
    func retry() async throws {
        let refusals = Box(3)
        let worker = try await FakeServer.start { frame in
            refusals.change { $0 -= 1 }
            guard refusals.value >= 0 || frame.text == "never" else { return [Frame(acknowledging: frame.id)] }
            return [Frame(acknowledging: frame.id, status: 500, text: "The worker subscriber is empty")]
        }
        let producer = try await Producer.connect(configuration(worker))
        let (input, output) = try pipePair()
        #expect(try await output.write(Array("0\n1\n2\n".utf8)))
        close(output.descriptor)
        let report = await Publication(topic: "t", source: .lines(input), retry: .seconds(60)).run(on: producer)
        #expect(report.totals.acknowledged == 3 && report.exitCode == 0)
        #expect(worker.received.map(\.text) == ["0", "0", "0", "0", "1", "2"])
        let refused = await Publication(topic: "t", source: .payload(Array("never".utf8), count: 1), retry: .zero).run(on: producer)
        #expect(refused.totals.refused == 1 && refused.exitCode == 65)
        close(input.descriptor)
        producer.close()
    }

    @Test("stops when no server can be reached any more")
    func cutOff() async throws {
        let worker = try await FakeServer.worker()
        let producer = try await Producer.connect(configuration(worker, patience: .milliseconds(20), window: 10))
        await worker.stop()
        let (input, output) = try pipePair()
        #expect(try await output.write(Array(String(repeating: "line\n", count: 800).utf8)))
        close(output.descriptor)
        for source in [Publication.Source.payload([1], count: 1_000_000), .lines(input)] {
            let report = await Publication(topic: "t", source: source).run(on: producer)
            #expect(report.exitCode == 69)
            // What was given or read is accounted for, though it was not tried.
            if case .payload(_, let count) = source { #expect(report.totals.submitted == count) }
            if case .lines = source { #expect(report.totals.submitted == 800) }
            #expect(report.totals.sent + report.totals.notSent == report.totals.submitted)
            #expect(report.totals.sent < 400)
            // Some may have been of unknown outcome.
            let unsent = report.reasons.filter { $0.text.hasPrefix("not sent: ") }
            #expect(unsent.map(\.count) == [report.totals.notSent])
        }
        close(input.descriptor)
        producer.close()
    }

    @Test("outlives its worker's restart: lines wait, and each is sent once, or told to be of unknown outcome")
    func restart() async throws {
        // Takes the third line, and dies before it has answered.
        let worker = try await FakeServer.start { $0.text == "2" ? nil : [Frame(acknowledging: $0.id)] }
        var settings = configuration(worker, patience: .milliseconds(1), window: 1)
        settings.returnPatience = .seconds(20)
        let producer = try await Producer.connect(settings)
        let (input, output) = try pipePair()
        let running = Task { await Publication(topic: "t", source: .lines(input)).run(on: producer) }
        #expect(try await output.write(Array("0\n1\n2\n".utf8)))
        await worker.waitUntil { $0.last?.text == "2" }
        await worker.stop()
        #expect(try await output.write(Array("3\n4\n".utf8)))
        let again = try await FakeServer.worker(port: worker.address.port)
        close(output.descriptor)
        let report = await running.value
        #expect(again.received.map(\.text) == ["3", "4"])
        #expect(report.totals.acknowledged == 4 && report.totals.unknown == 1 && report.totals.notSent == 0)
        #expect(report.exitCode == 69)
        close(input.descriptor)
        producer.close()
    }

    @Test("sums up when it is cancelled, with input that never ends and a worker that never answers", arguments: [true, false])
    func cancelled(isAnswered: Bool) async throws {
        let worker = try await isAnswered ? FakeServer.worker() : FakeServer.silentWorker()
        let producer = try await Producer.connect(configuration(worker))
        let (input, output) = try pipePair()
        let running = Task { await Publication(topic: "t", source: .lines(input)).run(on: producer) }
        #expect(try await output.write(Array("0\n1\nnot finish".utf8)))
        await worker.waitUntil { $0.count == 2 }
        running.cancel()
        let totals = await running.value.totals
        #expect(totals.submitted == 3 && totals.notSent == 1)
        #expect(isAnswered ? totals.acknowledged + totals.unknown == 2 : totals.unknown == 2)
        close(output.descriptor)
        close(input.descriptor)
    }

    private func configuration(
        _ worker: FakeServer, patience: Duration = .seconds(20), window: Int = 1000
    ) -> ProducerConfiguration {
        ProducerConfiguration(route: .workers([worker.address]), connection: options(patience: patience), window: window)
    }
}

func pipePair() throws -> (input: FileDescriptorStream, output: FileDescriptorStream) {
    var descriptors: [Int32] = [0, 0]
    #expect(pipe(&descriptors) == 0)
    return (
        FileDescriptorStream(descriptor: descriptors[0], name: "pipe"),
        FileDescriptorStream(descriptor: descriptors[1], name: "pipe")
    )
}
