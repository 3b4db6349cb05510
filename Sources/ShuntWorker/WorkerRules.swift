import Logging
import PayloadCompression
import ShuntConfig
import ShuntCore
import ShuntRules

/// The rules of a worker, checked, ready for each of its loops to load.
struct WorkerRules: Sendable {
    let set: RuleSet
    private let worker: String
    let limits: RuleLimits
    private let shared: SharedStore
    private let logger: Logger

    /// Reads and checks the plugins that the configuration enables.
    /// - Parameter shared: the store of the version before; nil makes a new one.
    /// - Throws: `rule.*`, with file and line.
    init(_ configuration: Configuration, shared: SharedStore? = nil, now: Double) throws(ShuntError) {
        limits = RuleLimits(configuration)
        worker = configuration.worker.name
        logger = Logger(label: "shunt.rules")
        if let shared {
            self.shared = shared
        } else {
            self.shared = try SharedStore(limits: limits)
        }
        let enabled: RuleSet.Enabled =
            switch configuration.rules.enabled {
            case .all: .all
            case .named(let names): .names(names)
            }
        do throws(ShuntError) {
            set = try RuleSet.load(
                directory: configuration.rules.directory, enabled: enabled,
                settings: configuration.rules.settings.mapValues(SettingValue.init), limits: limits, now: now)
        } catch {
            throw Self.placed(error, configuration)
        }
        for warning in set.warnings { logger.warning("\(warning)") }
    }

    /// Another version, with what the rules of this one shared.
    func next(_ configuration: Configuration, now: Double) throws(ShuntError) -> WorkerRules {
        try WorkerRules(configuration, shared: shared, now: now)
    }

    /// How this version differs from the one before.
    func changes(since before: WorkerRules) -> RuleChanges {
        func versions(_ set: RuleSet) -> [String: RuleSet.Rule] {
            Dictionary(set.rules.map { ($0.definition.name, $0) }) { first, _ in first }
        }
        let (old, new) = (versions(before.set), versions(set))
        return RuleChanges(
            anew: new.keys.sorted().filter { old[$0]?.plugin != new[$0]?.plugin || old[$0]?.settings != new[$0]?.settings },
            gone: old.keys.sorted().filter { new[$0] == nil })
    }

    /// An error of a rule, told with the line of the configuration that led to it.
    private static func placed(_ error: ShuntError, _ configuration: Configuration) -> ShuntError {
        let rules = configuration.rules
        guard let location = error.location else { return error }
        if location == rules.directory {
            guard let present = try? RulePlugin.names(in: rules.directory) else {
                return configuration.placed(error, at: "rules.directory")
            }
            guard case .named(let names) = rules.enabled, let missing = names.first(where: { !present.contains($0) }) else {
                return error
            }
            return configuration.placed(error, at: "rules.enabled.\(missing)")
        }
        // What a plugin says of its settings is said in its own code.
        guard let plugin = rules.settings.keys.first(where: { location.hasPrefix("\(rules.directory)/\($0)/") }),
            let place = configuration.place(of: "rules.settings.\(plugin)")
        else { return error }
        var error = error
        error.help = [error.help, "its settings are at \(place)"].compactMap { $0 }.joined(separator: "; ")
        return error
    }

    /// The rules for one loop, each in a Lua state of its own. Called on the loop; nil where none are enabled.
    func load(loop: UInt8, peers: any PeerDirectory, now: Double) throws(ShuntError) -> LoopRules? {
        guard !set.rules.isEmpty else { return nil }
        let rules = try LoopRules(
            set: set, worker: worker, loop: Int(loop), limits: limits, shared: shared,
            log: { [logger] entry in
                logger.log(level: entry.level.swiftLog, "\(entry.text)", metadata: entry.metadata)
            },
            inflate: { (packed, compression, limit, check) throws(ShuntError) in
                try inflate(packed, compression, limit: limit, check: check)
            }, now: now)
        rules.peers = peers
        return rules
    }
}

extension RuleLimits {
    /// As a worker's rules have them.
    public init(_ configuration: Configuration) {
        self.init()
        let rules = configuration.rules
        callNanoseconds = UInt64(rules.budget.time.seconds * 1e9)
        callNanosecondsCap = callNanoseconds
        callMemory = rules.budget.memory
        callMemoryCap = callMemory
        stateMemory = rules.stateMemory
        inflatedBytes = configuration.limits.inflated
        fanout = configuration.limits.fanout
        topicBytes = configuration.limits.topic
    }
}

extension SettingValue {
    /// As a rule is given it.
    public init(_ value: ConfigValue) {
        self =
            switch value {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(Int64(value))
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let values): .array(values.map(SettingValue.init))
            case .object(let values): .object(values.mapValues(SettingValue.init))
            }
    }
}

extension RuleLogEntry {
    fileprivate var metadata: Logger.Metadata {
        fields.isEmpty ? ["rule": "\(rule)"] : ["rule": "\(rule)", "fields": "\(fields)"]
    }
}

extension RuleLogEntry.Level {
    fileprivate var swiftLog: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        }
    }
}

/// How the rules of a version differ from those of the one before, by name.
public struct RuleChanges: Equatable, Sendable {
    /// Rules that are new, or have other files or settings.
    public let anew: [String]
    /// Rules that run no more.
    public let gone: [String]
}
