import Glibc
import Logging
import ShuntConfig
import Synchronization

/// The process's log, on standard error: swift-log's back end for all of Shunt.
///
/// A line costs its caller the formatting and an append to a bounded buffer; a thread of its own writes. So a terminal or pipe that nobody
/// reads never stalls a loop: lines are dropped, and their number is logged once it is read again.
public enum ShuntLog {
    private static let process = Mutex<LogSystem?>(nil)

    /// Makes this the log of every `Logger` of the process. Called again, it applies the configuration's levels.
    /// - Parameter named: stands in each JSON line.
    public static func bootstrap(configuration: Configuration.Log, named: LogProcess? = nil) {
        let isNew = process.withLock { system in
            guard system == nil else { return false }
            let isTerminal = isatty(STDERR_FILENO) == 1
            let format = LogFormat(configuration.format, isTerminal: isTerminal, colour: isTerminal && wantsColour)
            system = LogSystem(configuration: configuration, format: format, process: named) { FileDescriptor.standardError.write($0) }
            return true
        }
        guard isNew, let system = current else { return apply(configuration) }
        LoggingSystem.bootstrap { system.handler(label: $0) }
    }

    /// Applies the levels of this configuration; the format stays.
    public static func apply(_ configuration: Configuration.Log) {
        current?.levels.apply(configuration)
    }

    /// Gives one subsystem, or all, this level until `apply`.
    public static func set(_ level: Configuration.Log.Level, of subsystem: Configuration.Log.Subsystem?) {
        current?.levels.set(Logger.Level(level), of: subsystem)
    }

    /// The levels that hold, by subsystem.
    public static var levels: [String: String] { current?.levels.all ?? [:] }

    /// Waits until all log lines are written. Call it before the process ends.
    /// - Parameter limit: the longest wait.
    /// - Returns: false if the time was up first.
    @discardableResult
    public static func flush(within limit: Duration = .seconds(2)) -> Bool {
        current?.flush(within: limit) ?? true
    }

    private static var current: LogSystem? { process.withLock { $0 } }

    /// Whether lines are coloured: by no-color.org's convention, and not on terminals without colours.
    private static var wantsColour: Bool {
        let noColour = getenv("NO_COLOR").map { String(cString: $0) } ?? ""
        let terminal = getenv("TERM").map { String(cString: $0) } ?? ""
        return noColour.isEmpty && terminal != "dumb"
    }
}

/// A log of its own, apart from the process: `ShuntLog` is one of these.
final class LogSystem: Sendable {
    let levels: LogLevels
    let format: LogFormat
    private let process: LogProcess?
    private let queue: LogQueue
    private let now: @Sendable () -> UTCTime

    /// - Parameter sink: gets whole lines, on the log's own thread; may block.
    init(
        configuration: Configuration.Log, format: LogFormat, process: LogProcess? = nil, capacity: LogQueue.Capacity = .init(),
        now: @escaping @Sendable () -> UTCTime = { .now }, sink: @escaping @Sendable ([UInt8]) -> Void
    ) {
        levels = LogLevels(configuration)
        self.format = format
        self.process = process
        self.now = now
        queue = LogQueue(capacity: capacity)
        LogThread.start(queue: queue, sink: sink) { dropped in
            let line = LogLine(
                time: now(), level: .warning, subsystem: "log", message: "lines were dropped: more than could be written",
                metadata: ["lines": .stringConvertible(dropped)], process: process)
            return line.formatted(format)
        }
    }

    /// The thread ends once it has written what is left.
    deinit { queue.close() }

    /// The handler of a logger with this label: `shunt.worker` belongs to the subsystem `worker`.
    func handler(label: String) -> ShuntLogHandler {
        let subsystem = LogLevels.subsystem(ofLabel: label)
        return ShuntLogHandler(system: self, subsystem: subsystem?.rawValue ?? label, level: levels[subsystem])
    }

    func log(_ level: Logger.Level, _ subsystem: String, _ message: String, _ metadata: Logger.Metadata) {
        let line = LogLine(time: now(), level: level, subsystem: subsystem, message: message, metadata: metadata, process: process)
        queue.append(line.formatted(format))
    }

    func flush(within limit: Duration) -> Bool {
        queue.waitUntilWritten(within: limit)
    }
}
