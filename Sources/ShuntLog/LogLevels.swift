import Logging
import ShuntConfig
import Synchronization

/// The level of each subsystem; changes reach all loggers at once.
final class LogLevels: Sendable {
    /// A level. Every call of a logger reads it, so reading takes no lock.
    final class Level: Sendable {
        private let index: Atomic<UInt8>

        init(_ level: Logger.Level) { index = Atomic(Self.index(of: level)) }

        var value: Logger.Level {
            Logger.Level.allCases[Int(index.load(ordering: .relaxed))]
        }

        func set(_ level: Logger.Level) {
            index.store(Self.index(of: level), ordering: .relaxed)
        }

        private static func index(of level: Logger.Level) -> UInt8 {
            UInt8(Logger.Level.allCases.firstIndex(of: level) ?? 0)
        }
    }

    /// The level of loggers without a subsystem.
    private let standard: Level
    private let bySubsystem: [Configuration.Log.Subsystem: Level]

    init(_ configuration: Configuration.Log) {
        standard = Level(Logger.Level(configuration.level))
        bySubsystem = Dictionary(
            uniqueKeysWithValues: Configuration.Log.Subsystem.allCases.map {
                ($0, Level(Logger.Level(configuration.level(of: $0))))
            })
    }

    subscript(subsystem: Configuration.Log.Subsystem?) -> Level {
        subsystem.flatMap { bySubsystem[$0] } ?? standard
    }

    func apply(_ configuration: Configuration.Log) {
        standard.set(Logger.Level(configuration.level))
        for (subsystem, level) in bySubsystem { level.set(Logger.Level(configuration.level(of: subsystem))) }
    }

    func set(_ level: Logger.Level, of subsystem: Configuration.Log.Subsystem?) {
        if let subsystem { return self[subsystem].set(level) }
        standard.set(level)
        for one in bySubsystem.values { one.set(level) }
    }

    /// By subsystem.
    var all: [String: String] {
        Dictionary(uniqueKeysWithValues: bySubsystem.map { ($0.key.rawValue, $0.value.value.rawValue) })
    }

    /// `shunt.worker` and `shunt.worker.…` belong to `worker`; nil for labels of others.
    static func subsystem(ofLabel label: String) -> Configuration.Log.Subsystem? {
        let parts = label.split(separator: ".", maxSplits: 2)
        guard parts.count >= 2, parts[0] == "shunt" else { return nil }
        return Configuration.Log.Subsystem(rawValue: String(parts[1]))
    }
}

extension Logger.Level {
    init(_ level: Configuration.Log.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}
