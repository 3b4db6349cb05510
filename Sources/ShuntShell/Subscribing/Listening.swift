import ShuntClient
import ShuntCore

/// The work of `shunt sub`: prints the messages that come.
public struct Listening: Sendable {
    public var printer: MessagePrinter
    public var output: FileDescriptorStream
    /// After how many messages to end; nil for never.
    public var count: Int?

    public init(printer: MessagePrinter, output: FileDescriptorStream = .standardOutput, count: Int? = nil) {
        self.printer = printer
        self.output = output
        self.count = count
    }

    /// Prints until the count is reached, the consumer ends, the task is cancelled, or nobody reads the output any more.
    /// - Returns: the messages printed.
    public func run(on consumer: Consumer) async throws(ShuntError) -> Int {
        var printed = 0
        var lines: [UInt8] = []
        while printed < count ?? .max, let batch = try await consumer.nextBatch() {
            let now = Timestamp.now()
            for message in batch.prefix((count ?? .max) - printed) {
                printer.append(message, at: now, to: &lines)
                printed += 1
            }
            guard try await output.write(lines) else { break }
            lines.removeAll(keepingCapacity: lines.capacity <= 1 << 20)
        }
        return printed
    }

    /// A warning about a text that looks like a topic filter and is not valid, which Shunt's workers refuse; nil if there is nothing to
    /// say.
    public static func warning(about topic: String) -> String? {
        guard !TopicFilter.isFilter(topic) else { return nil }
        return "'\(topic)' is no topic filter, and workers of message-channel would match it literally: "
            + "+ stands for one whole level, # at the end for all that follows"
    }

    /// The group of a `sub` without `--group`: one of its own, so that it gets all messages.
    public static func freshGroup() -> String { "sub-" + String(UInt64.random(in: 0...UInt64.max), radix: 36) }

    /// An event of a consumer, as a line for people.
    public static func text(of event: ConsumerEvent, topic: String) -> String {
        switch event {
        case .subscribed(let worker, let isBack): isBack ? "back at \(worker)" : "subscribed to \(topic) at \(worker)"
        case .lost(let worker, let error): "lost \(worker): \(error.message); trying again"
        case .unavailable(let worker, let error): "\(worker) is not available: \(error.message); trying again"
        case .masterUnavailable(let error): "no list of workers: \(error.description); trying again"
        case .masterBack: "the master is back"
        case .redirected(let from, let to): "redirected from \(from) to \(to)"
        }
    }
}
