import Dispatch
import Logging
import ShuntConfig
import Synchronization

@testable import ShuntLog

/// Keeps what the log writes.
final class CapturedSink: Sendable {
    private let bytes = Mutex<[UInt8]>([])

    func write(_ batch: [UInt8]) { bytes.withLock { $0 += batch } }

    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
    var lines: [String] { text.split(separator: "\n").map(String.init) }
}

/// Takes what it is given, then stands still until it is let go, like a terminal that nobody reads.
final class StalledSink: Sendable {
    let captured = CapturedSink()
    private let begun = DispatchSemaphore(value: 0)
    private let released = DispatchSemaphore(value: 0)

    func write(_ batch: [UInt8]) {
        captured.write(batch)
        begun.signal()
        released.wait()
    }

    /// Waits until the log's thread stands in `write`.
    func waitUntilStalled() { begun.wait() }

    /// Lets this write, and as many more, through.
    func release(_ writes: Int = 1) { for _ in 0..<writes { released.signal() } }
}

/// A log whose clock stands still, and the logger of a label.
func makeSystem(
    _ configuration: Configuration.Log = .init(), format: LogFormat = .text(colour: false), capacity: LogQueue.Capacity = .init(),
    sink: @escaping @Sendable ([UInt8]) -> Void
) -> LogSystem {
    LogSystem(
        configuration: configuration, format: format, capacity: capacity,
        now: { UTCTime(seconds: 1_772_366_400, milliseconds: 7) }, sink: sink)
}

extension LogSystem {
    func logger(_ label: String) -> Logger {
        Logger(label: label) { self.handler(label: $0) }
    }
}

/// What one call of a logger writes.
func written(_ format: LogFormat, _ level: Logger.Level, _ message: Logger.Message, _ metadata: Logger.Metadata = [:]) -> String {
    let sink = CapturedSink()
    let system = makeSystem(format: format, sink: sink.write)
    system.logger("shunt.worker").log(level: level, message, metadata: metadata)
    return system.flush(within: .seconds(30)) ? sink.text : "not written"
}
