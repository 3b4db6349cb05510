import ExchangeCodec
import Glibc
import ShuntClient
import ShuntCore
import Testing

@testable import ShuntShell

private let order = ReceivedMessage(topic: "orders/1", key: "eu", payload: Array(#"{"id":1}"#.utf8), format: .json, id: 7)
private let orderMembers = #""topic":"orders/1","key":"eu","format":"json","payload":"{\"id\":1}","id":"7"}"#

@Suite("A message as a line")
struct MessagePrinterTests {
    @Test(
        "shows topic, key and payload",
        arguments: [
            (MessagePrinter.Style.text, false, "orders/1\teu\t{\"id\":1}\n"),
            (.text, true, "2019-01-20T16:00:00.007Z\torders/1\teu\t{\"id\":1}\n"),
            (.json, false, "{\(orderMembers)\n"),
            (.json, true, #"{"time":"2019-01-20T16:00:00.007Z",\#(orderMembers)"# + "\n"),
            (.payload, false, "{\"id\":1}\n"),
        ])
    func styles(style: MessagePrinter.Style, hasTime: Bool, text: String) {
        #expect(line(order, style, hasTime: hasTime) == text)
    }

    @Test(
        "never steers a terminal, and stays one line",
        arguments: [
            ("\u{1B}[2J", "\\x1b[2J"), ("a\nb\tc\rd", "a\\nb\\tc\\rd"), ("\u{7}\u{0}\u{7F}", "\\x07\\x00\\x7f"),
            ("\u{9B}31m", "\\xc2\\x9b31m"), ("Grüße 你 😀", "Grüße 你 😀"), ("a\\b", "a\\b"),
        ])
    func escapes(payload: String, text: String) {
        let message = ReceivedMessage(topic: payload, key: payload, payload: Array(payload.utf8))
        #expect(line(message, .text) == "\(text)\t\(text)\t\(text)\n")
    }

    @Test(
        "shows bytes that are no UTF-8 as such",
        arguments: [
            ([0xFF, 0x41], "\\xffA"), ([0xE4, 0xBD], "\\xe4\\xbd"), ([0xC0, 0x80], "\\xc0\\x80"),
            ([0xED, 0xA0, 0x80], "\\xed\\xa0\\x80"),
        ] as [([UInt8], String)])
    func notUTF8(payload: [UInt8], text: String) {
        #expect(line(ReceivedMessage(topic: "t", payload: payload), .text) == "t\t\t\(text)\n")
    }

    @Test("as payload alone is the bytes as they came, but not to a terminal")
    func payloadOnly() {
        let message = ReceivedMessage(topic: "t", payload: Array("a\u{1B}\nb".utf8))
        #expect(line(message, .payload) == "a\u{1B}\nb\n")
        #expect(line(message, .payload, isTerminal: true) == "a\\x1b\nb\n")
    }

    @Test(
        "as JSON puts what is no UTF-8 into base64",
        arguments: [
            ([0xFF], "/w=="), ([0xFF, 0xFE], "//4="), ([0xFF, 0xFE, 0x00], "//4A"), ([0xFF, 0xFE, 0x00, 0x41], "//4AQQ=="),
        ] as [([UInt8], String)])
    func base64(payload: [UInt8], text: String) {
        let expected = #"{"topic":"t","format":"text","payload":"\#(text)","encoding":"base64","id":"0"}"#
        #expect(line(ReceivedMessage(topic: "t", payload: payload), .json) == expected + "\n")
    }

    @Test("as JSON escapes what JSON must", arguments: [("\"\\\n\t\u{1}\u{7F}", #"\"\\\n\t\u0001\u007f"#), ("ä😀", "ä😀")])
    func json(payload: String, text: String) {
        let expected = #"{"topic":"t","format":"text","payload":"\#(text)","id":"0"}"#
        #expect(line(ReceivedMessage(topic: "t", payload: Array(payload.utf8)), .json) == expected + "\n")
    }

    @Test("unpacks a compressed payload; a broken one stays as it came")
    func compressed() {
        let gzip: [UInt8] = [
            0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0, 0xff, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x00,
            0x80, 0x88, 0xf9, 0xe5, 0x11, 0, 0, 0,
        ]
        #expect(line(ReceivedMessage(topic: "t", payload: gzip, compression: .gzip), .payload) == "hello hello hello\n")
        let broken = ReceivedMessage(topic: "t", payload: [1, 2, 3], compression: .gzip)
        #expect(
            line(broken, .json)
                == #"{"topic":"t","format":"text","payload":"AQID","encoding":"base64","compression":"gzip","id":"0"}"# + "\n")
    }

    private func line(
        _ message: ReceivedMessage, _ style: MessagePrinter.Style, isTerminal: Bool = false, hasTime: Bool = false
    ) -> String {
        var bytes: [UInt8] = []
        MessagePrinter(style: style, isTerminal: isTerminal, hasTime: hasTime).append(message, at: 1_548_000_000_007, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

@Suite("shunt sub", .timeLimit(.minutes(2)))
struct ListeningTests {
    @Test("prints as many messages as asked, and ends")
    func count() async throws {
        let worker = try await FakeServer.worker()
        let consumer = try await Consumer.subscribe(configuration(worker))
        let (input, output) = try pipePair()
        worker.send((0..<5).map { Frame(.message, id: $0, text: "\($0)", name: "t") })
        let listening = Listening(printer: MessagePrinter(style: .payload, isTerminal: false), output: output, count: 3)
        #expect(try await listening.run(on: consumer) == 3)
        close(output.descriptor)
        #expect(try await input.read() == Array("0\n1\n2\n".utf8))
        #expect(try await input.read() == nil)
        close(input.descriptor)
        consumer.close()
    }

    @Test("ends when it is cancelled, and when nobody reads its output any more")
    func ends() async throws {
        signal(SIGPIPE, SIG_IGN)
        let worker = try await FakeServer.worker()
        let consumer = try await Consumer.subscribe(configuration(worker))
        let (input, output) = try pipePair()
        let listening = Listening(printer: MessagePrinter(style: .payload, isTerminal: false), output: output)
        let running = Task { try await listening.run(on: consumer) }
        running.cancel()
        #expect(try await running.value == 0)
        close(input.descriptor)
        worker.send([Frame(.message, id: 1, text: "a", name: "t")])
        #expect(try await listening.run(on: consumer) == 1)
        close(output.descriptor)
        consumer.close()
    }

    @Test("has a group of its own where none was named")
    func freshGroup() {
        #expect(Listening.freshGroup().hasPrefix("sub-"))
        #expect(Listening.freshGroup() != Listening.freshGroup())
    }

    private func configuration(_ worker: FakeServer) -> ConsumerConfiguration {
        ConsumerConfiguration(route: .workers([worker.address]), topic: "t", group: "g", connection: options())
    }
}

@Suite("What looks like a topic filter")
struct FilterWarningTests {
    @Test("is told to be none", arguments: ["a/#/b", "a+", "a+/+", "#/+", "a\0"])
    func warned(topic: String) { #expect(Listening.warning(about: topic)?.hasPrefix("'\(topic)' is no topic filter") == true) }

    @Test("is not warned of where it is one, or looks like none", arguments: ["a", "", "a/+/b", "+", "#", "a/#", "+/+/#", "a//b"])
    func silent(topic: String) { #expect(Listening.warning(about: topic) == nil) }
}
