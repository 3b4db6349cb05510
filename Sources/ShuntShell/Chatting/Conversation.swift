import ShuntClient
import ShuntCore
import Synchronization

/// The work of `shunt chat`: sends typed lines, and prints the chat's events.
public struct Conversation: Sendable {
    public var printer: ChatPrinter
    public var input: FileDescriptorStream
    public var output: FileDescriptorStream
    /// Lines for messages that could not be sent.
    public var status: StatusLines
    /// Whether the member leaves for good at the end of the input: piped input has no user who may come back.
    public var leavesAtEnd: Bool

    public init(
        printer: ChatPrinter, input: FileDescriptorStream = .standardInput, output: FileDescriptorStream = .standardOutput,
        status: StatusLines = StatusLines(), leavesAtEnd: Bool = false
    ) {
        self.printer = printer
        self.input = input
        self.output = output
        self.status = status
        self.leavesAtEnd = leavesAtEnd
    }

    /// Goes on until the input ends, somebody leaves or ends the chat, or nobody reads the output any more. Each line is sent when the line
    /// before it is acknowledged.
    /// - Returns: the failure of the first line that was not acknowledged; nil if all were acknowledged.
    /// - Throws: the error that ended the session.
    public func run(on session: ChatSession) async throws(ShuntError) -> ShuntError? {
        let typing = Typing()
        // The task that reads input is not waited for: a user may think for long about the next line.
        let task = Task { await send(to: session, typing) }
        defer { task.cancel() }
        while let events = try await session.nextBatch() {
            var lines: [UInt8] = []
            let now = Timestamp.now()
            for event in events { printer.append(event, at: now, to: &lines) }
            guard try await output.write(lines) else { break }
        }
        session.close()
        return typing.failure
    }

    private func send(to session: ChatSession, _ typing: Typing) async {
        let room = session.configuration.connection.frameLimit - 1024
        var splitter = LineSplitter(limit: max(1, room))
        do throws(ShuntError) {
            while let chunk = try await input.read() {
                for line in try splitter.lines(in: chunk) {
                    guard await handle(ChatInput(line), session, typing) else { return session.close() }
                }
            }
            // A line that is cut off by the end of the task was not finished.
            if !Task.isCancelled, let line = try splitter.last() { _ = await handle(ChatInput(line), session, typing) }
            if !Task.isCancelled, leavesAtEnd { await session.leave() }
        } catch {
            note(error, typing)
        }
        session.close()
    }

    /// - Returns: whether to read on.
    private func handle(_ input: ChatInput, _ session: ChatSession, _ typing: Typing) async -> Bool {
        do throws(SendFailure) {
            switch input {
            case .send(let line): try await session.send(line)
            case .quit:
                await session.leave()
                return false
            case .destroy:
                try await session.destroy()
                return false
            case .unknown(let word):
                status.line("\(word) is no command: /quit leaves for good, /destroy ends the chat, // begins a line with a slash")
            }
        } catch {
            note(error.error, typing)
        }
        return true
    }

    private func note(_ error: ShuntError, _ typing: Typing) {
        typing.note(error)
        status.line("not sent: \(error.description)")
    }

    /// The state of the sending.
    private final class Typing: Sendable {
        private let first = Mutex<ShuntError?>(nil)
        var failure: ShuntError? { first.withLock { $0 } }
        func note(_ error: ShuntError) { first.withLock { $0 = $0 ?? error } }
    }
}
