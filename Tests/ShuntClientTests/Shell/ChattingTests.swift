import ExchangeCodec
import Glibc
import ShuntClient
import ShuntCore
import Testing

@testable import ShuntShell

private let time: Int64 = 1_548_000_000_007
private let bob = ChatPeer(uid: "2", name: "bob")

@Suite("A chat's event as a line")
struct ChatPrinterTests {
    @Test(
        "says who did what, and when",
        arguments: [
            (ChatEvent.message(ChatMessage(sender: bob, payload: Array("hello".utf8))), "bob: hello"),
            (.message(ChatMessage(payload: Array("hello".utf8))), "someone: hello"), (.entered(HostPort("a", 1)), "* in the chat, at a:1"),
            (.joined(bob), "* bob has joined"),
            (.joined(ChatPeer(uid: "7")), "* 7 has joined"), (.left(bob), "* bob has left"), (.rejoined(bob), "* bob is back"),
            (.expired(bob), "* bob did not come back"), (.moved(to: HostPort("a", 1)), "* redirected to a:1"),
            (.lost(HostPort("a", 1), ShuntError(.connectionLost, "gone")), "* reconnecting: lost a:1, gone"),
            (.reconnected(HostPort("a", 1)), "* back at a:1"),
            (.replaced, "* your place was taken by another connection of the same name"), (.closed, "* the chat has been closed"),
            (.notification(DeviceNotification(message: "storm")), "* broadcast: storm"),
        ])
    func events(event: ChatEvent, text: String) {
        #expect(line(event) == "2019-01-20T16:00:00.007Z \(text)\n")
    }

    @Test("never steers a terminal, and stays one line")
    func escapes() {
        let nasty = ChatPeer(name: "\u{1B}[2J\n")
        #expect(line(.message(ChatMessage(sender: nasty, payload: Array("a\nb\u{9B}".utf8)))).hasSuffix(" \\x1b[2J\\n: a\\nb\\xc2\\x9b\n"))
        #expect(line(.joined(nasty)).hasSuffix(" * \\x1b[2J\\n has joined\n"))
    }

    @Test("for a terminal has the time of day only")
    func timeOfDay() throws {
        var bytes: [UInt8] = []
        ChatPrinter(isTerminal: true).append(.closed, at: time, to: &bytes)
        // Zones differ by multiples of a quarter of an hour.
        #expect(String(decoding: bytes, as: UTF8.self).contains(/^\d\d:(00|15|30|45):00 \* the chat has been closed\n$/))
    }

    private func line(_ event: ChatEvent) -> String {
        var bytes: [UInt8] = []
        ChatPrinter(isTerminal: false).append(event, at: time, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

@Suite("shunt chat", .timeLimit(.minutes(2)))
struct ConversationTests {
    @Test(
        "takes a line for what it is",
        arguments: [
            ("hello", ChatInput.send(Array("hello".utf8))), ("/quit", .quit), ("/quit ", .quit), ("/destroy", .destroy),
            ("//quit", .send(Array("/quit".utf8))), ("/help me", .unknown("/help me")), (" /quit", .send(Array(" /quit".utf8))),
        ])
    func input(line: String, expected: ChatInput) {
        #expect(ChatInput(Array(line.utf8)) == expected)
    }

    @Test("sends the lines of its input in order, prints what comes, and leaves at the end of the input")
    func talks() async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        try await chat.type("one\ntwo\n")
        await worker.waitUntil { $0.last?.text == "two" }
        worker.send([.chat(id: 1, .session, chat: "c", text: "hi")])
        try await chat.expect("* in the chat, at \(worker.address)\n")
        try await chat.expect("someone: hi\n")
        close(chat.keyboard.descriptor)
        #expect(try await chat.running.value == nil)
        #expect(worker.received.dropFirst(2).map(\.text) == ["one", "two"])
        await worker.waitForConnections(0)
    }

    @Test("leaves with /quit, and ends the chat with /destroy", arguments: [("/quit", false), ("/destroy", true)])
    func commands(command: String, isDestroyed: Bool) async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        try await chat.type("bye\n\(command)\nnot sent\n")
        #expect(try await chat.running.value == nil)
        #expect(worker.received.dropFirst(2).map(\.key) == ["SESSION", isDestroyed ? "DESTROY" : "LEAVE"])
        await worker.waitForConnections(0)
    }

    @Test("ends when somebody else ends the chat, though nothing more is typed")
    func closed() async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        worker.send([.chat(id: 1, .destroy, chat: "c")])
        try await chat.expect("* the chat has been closed\n")
        #expect(try await chat.running.value == nil)
        close(chat.keyboard.descriptor)
    }

    @Test("keeps its place at the end of its input")
    func endOfInput() async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        try await chat.type("held for whoever comes\n")
        close(chat.keyboard.descriptor)
        #expect(try await chat.running.value == nil)
        #expect(worker.received.dropFirst(2).map(\.key) == ["SESSION"])
    }

    @Test("ends when another connection takes its place, and says so")
    func replaced() async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        worker.send([Frame(.chat, id: 1, json: #"{"event":"replaced"}"#, name: "c", key: "NOTICE")])
        try await chat.expect("* your place was taken by another connection of the same name\n")
        let error = await #expect(throws: ShuntError.self) { _ = try await chat.running.value }
        #expect(error?.code.exitCode == 75)
        close(chat.keyboard.descriptor)
    }

    @Test("goes on after a line that is refused, and tells so at the end")
    func refused() async throws {
        let worker = try await FakeServer.start { frame in
            [Frame(acknowledging: frame.id, status: frame.text == "damn" ? 403 : 200, text: frame.text == "damn" ? "no swearing" : "")]
        }
        let chat = try await Chatting(worker)
        try await chat.type("damn\nhello\n/quit\n")
        #expect(try await chat.running.value?.code == .ruleRejected)
        #expect(worker.received.dropFirst(2).map(\.text) == ["damn", "hello", "c"])
    }

    @Test("survives its worker's restart: what is typed meanwhile is sent when it is back")
    func restart() async throws {
        let worker = try await FakeServer.worker()
        let chat = try await Chatting(worker)
        await worker.stop()
        try await chat.expect(" * reconnecting: lost ")
        try await chat.type("still here\n")
        let again = try await FakeServer.worker(port: worker.address.port)
        await again.waitUntil { $0.last?.text == "still here" }
        try await chat.expect(" * back at \(worker.address)\n")
        try await chat.type("/quit\n")
        #expect(try await chat.running.value == nil)
    }
}

/// A conversation with a keyboard and a screen.
private final class Chatting: Sendable {
    let keyboard: FileDescriptorStream
    private let screen: FileDescriptorStream
    let running: Task<ShuntError?, any Error>
    private let shown = Box("")

    init(_ worker: FakeServer) async throws {
        let session = try await ChatSession.join(
            ChatConfiguration(
                route: .workers([worker.address]), chat: "c", identity: ChatIdentity(uid: "ann"), connection: options()))
        let (input, keyboard) = try pipePair()
        let (screen, output) = try pipePair()
        (self.keyboard, self.screen) = (keyboard, screen)
        let silent = StatusLines(descriptor: -1)
        let conversation = Conversation(printer: ChatPrinter(isTerminal: false), input: input, output: output, status: silent)
        running = Task { try await conversation.run(on: session) }
    }

    func type(_ text: String) async throws {
        let isTaken = try await keyboard.write(Array(text.utf8))
        #expect(isTaken)
    }

    /// Reads on until this has been shown.
    func expect(_ text: String) async throws {
        while !shown.value.contains(text) {
            let bytes = try #require(try await screen.read())
            shown.change { $0 += String(decoding: bytes, as: UTF8.self) }
        }
    }
}

@Suite("shunt notify and shunt device", .timeLimit(.minutes(2)))
struct NotifyingTests {
    private static let report = NotifyReport(workers: [
        .init(HostPort("a", 1), .delivered(NotifyCounts(matched: 3, sent: 2), text: "3 matched, 2 sent, 1 not sent (too slow)")),
        .init(HostPort("b", 1), .noMatch), .init(HostPort("c", 1), .delivered(nil, text: "")),
        .init(HostPort("d", 1), .refused(Refusal(status: 403, text: "at night"))),
        .init(HostPort("e", 1), .unreachable(ShuntError(.addressUnavailable, "no connection"))),
    ])

    @Test("prints a line for each worker, and the sums")
    func text() {
        #expect(
            String(decoding: NotifyPrinter.text(Self.report), as: UTF8.self) == """
                a:1\t3 matched, 2 sent, 1 not sent (too slow)
                b:1\tno device matches
                c:1\tsent; nobody counts there
                d:1\trefused: 403 at night
                e:1\tnot reached: no connection
                5 workers\t3 matched, 2 sent, 1 not sent

                """)
    }

    @Test("prints the same as one JSON object")
    func json() {
        #expect(
            String(decoding: NotifyPrinter.json(Self.report), as: UTF8.self)
                == [
                    #"{"workers":[{"address":"a:1","outcome":"delivered","matched":3,"sent":2,"text":"3 matched, 2 sent, 1 not sent (too slow)"}"#,
                    #"{"address":"b:1","outcome":"no_match","matched":0,"sent":0}"#, #"{"address":"c:1","outcome":"delivered"}"#,
                    #"{"address":"d:1","outcome":"refused","status":403,"code":"rule.rejected","text":"at night"}"#,
                    #"{"address":"e:1","outcome":"unreachable","code":"address.unavailable","text":"no connection"}],"matched":3,"sent":2}"# + "\n",
                ].joined(separator: ","))
    }

    @Test(
        "prints a notification as a line",
        arguments: [
            (NotificationPrinter.Style.text, false, "a\\nb\n"), (.text, true, "2019-01-20T16:00:00.007Z\ta\\nb\n"),
            (.json, false, #"{"uid":"ann","match_tags":["x","y"],"message":"a\nb","id":"7"}"# + "\n"),
            (.json, true, #"{"time":"2019-01-20T16:00:00.007Z","uid":"ann","match_tags":["x","y"],"message":"a\nb","id":"7"}"# + "\n"),
        ])
    func notification(style: NotificationPrinter.Style, hasTime: Bool, text: String) {
        var line: [UInt8] = []
        let notification = DeviceNotification(message: "a\nb", filter: DeviceFilter(uid: "ann", matchTags: ["x", "y"]), id: 7)
        NotificationPrinter(style: style, hasTime: hasTime).append(notification, at: time, to: &line)
        #expect(String(decoding: line, as: UTF8.self) == text)
    }

    @Test("prints as many notifications as asked, and ends")
    func count() async throws {
        let worker = try await FakeServer.worker()
        let session = try await DeviceSession.register(
            DeviceConfiguration(
                route: .workers([worker.address]), uid: "ann", device: "phone", connection: options()))
        let (input, output) = try pipePair()
        worker.send((0..<5).map { .notify(id: $0, NotifyBody(message: "\($0)")) })
        let listening = DeviceListening(printer: NotificationPrinter(style: .text), output: output, count: 3)
        #expect(try await listening.run(on: session) == 3)
        close(output.descriptor)
        #expect(try await input.read() == Array("0\n1\n2\n".utf8))
        close(input.descriptor)
        session.close()
    }
}
