import Logging
import PayloadCompression
import ShuntConfig
import ShuntCore
import ShuntRules

/// The rules of a worker, checked, ready for each of its loops to load.
struct WorkerRules: Sendable {
    let set: RuleSet
    private let worker: String
    /// The limits of the process: an earlier version that comes back is under what holds now.
    private(set) var limits: RuleLimits
    /// Whom its rules may ask, by plugin.
    let permits: [String: LookupService.Permit]
    private let shared: SharedStore
    /// What rules write whose decisions are not applied.
    private let apart: SharedStore
    /// The clients and sessions of all loops, while a rule asks for them.
    let sessions: SessionDirectory
    let events: WorkerEvents
    private let logger: Logger
    /// Counts the versions that this worker has run; one that comes back keeps its number.
    private(set) var number = 1
    /// When it was loaded, in seconds since 1970.
    private(set) var loadedAt: Double
    /// When each rule began to run as it is, where that was not with this version; by name.
    private var since: [String: Double] = [:]

    /// Reads and checks the plugins that the configuration enables.
    /// - Parameter before: the version that runs, whose stores go on; nil makes new ones.
    /// - Throws: `rule.*`, with file and line; what `LookupService.permits` throws.
    init(_ configuration: Configuration, after before: WorkerRules? = nil, events: WorkerEvents, now: Double) throws(ShuntError) {
        limits = RuleLimits(configuration)
        worker = configuration.worker.name
        logger = Logger(label: "shunt.rules")
        self.events = events
        loadedAt = now
        if let before {
            (shared, apart, sessions) = (before.shared, before.apart, before.sessions)
        } else {
            (shared, apart) = (try SharedStore(limits: limits), try SharedStore(limits: limits))
            sessions = SessionDirectory()
        }
        let enabled: RuleSet.Enabled =
            switch configuration.rules.enabled {
            case .all: .all
            case .named(let names): .names(names)
            }
        do throws(ShuntError) {
            set = try RuleSet.load(
                directory: configuration.rules.directory, enabled: enabled, disabled: configuration.rules.disabled,
                settings: configuration.rules.settings.mapValues(SettingValue.init), limits: limits,
                trials: RuleTrial.all(of: configuration.rules), now: now)
        } catch {
            throw Self.placed(error, configuration)
        }
        permits = try LookupService.permits(configuration)
        for warning in set.warnings { logger.warning("\(Self.placed(warning, configuration))") }
        number = before.map { isSame(as: $0) ? $0.number : $0.number + 1 } ?? 1
        for warning in lookupWarnings(configuration) + Self.trialWarnings(configuration) { logger.warning("\(warning)") }
    }

    /// Warns of clients that are named for a trial which is applied for none, or for all.
    static func trialWarnings(_ configuration: Configuration) -> [ShuntError] {
        configuration.rules.trials.sorted { $0.key < $1.key }.flatMap { name, trial in
            guard trial.mode != .canary else { return [ShuntError]() }
            let key = "rules.trials.\(name)"
            let who = trial.mode == .shadow ? "a shadow's decisions are applied for no client" : "the rule is live, for all clients"
            return ["share", "uids", "addresses"].filter { configuration.isGiven("\(key).\($0)") }.map { field in
                configuration.placed(
                    ShuntError(.configInvalid, "\(key).\(field) means nothing: \(who)", help: "set \(key).mode to canary"), at: "\(key).\(field)")
            }
        }
    }

    /// Another version, with what the rules of this one shared.
    func next(_ configuration: Configuration, now: Double) throws(ShuntError) -> WorkerRules {
        try WorkerRules(configuration, after: self, events: events, now: now)
    }

    /// An earlier version as it comes back after this one.
    func bringingBack(_ earlier: WorkerRules) -> WorkerRules {
        var copy = earlier
        copy.limits = limits
        return copy
    }

    /// Whether every rule goes on as it is.
    func isSame(as other: WorkerRules) -> Bool { set.isSame(as: other.set) }

    /// The version as it runs after another one.
    /// - Parameter loadedAt: when it was loaded first.
    func taking(over before: WorkerRules, as number: Int, at loadedAt: Double, now: Double) -> WorkerRules {
        var copy = self
        (copy.number, copy.loadedAt) = (number, loadedAt)
        copy.since = Dictionary(
            set.rules.map { rule in
                let name = rule.definition.name
                return (name, before.set.rules.contains { $0.isSame(as: rule) } ? before.since(of: name) : now)
            }
        ) { first, _ in first }
        return copy
    }

    /// When a rule began to run with its files, settings and budget, without a break.
    func since(of rule: String) -> Double { since[rule] ?? loadedAt }

    /// How this version differs from the one before.
    func changes(since before: WorkerRules) -> RuleChanges {
        let (old, new) = (before.set.rules, set.rules)
        return RuleChanges(
            version: number,
            anew: new.filter { rule in !old.contains { $0.isSame(as: rule) } }.map(\.definition.name).sorted(),
            trials: new.filter { rule in old.first { $0.isSame(as: rule) }.map { $0.mode != rule.mode } ?? false }.map(\.definition.name).sorted(),
            gone: old.map(\.definition.name).filter { name in !new.contains { $0.definition.name == name } }.sorted())
    }

    /// The errors of rules, told with the lines of the configuration that led to them.
    private static func placed(_ error: ShuntError, _ configuration: Configuration) -> ShuntError {
        ShuntError(all: error.all.map { placed(one: $0, configuration) }) ?? error
    }

    private static func placed(one error: ShuntError, _ configuration: Configuration) -> ShuntError {
        let rules = configuration.rules
        guard let location = error.location else { return error }
        if location.hasPrefix("rules.settings.") || location.hasPrefix("rules.trials.") {
            return error.placed { configuration.nearestPlace(of: $0, isName: $1) }
        }
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

    /// The same rules in states that nobody else sees: what they keep, count and log there is gone with them. nil where none are enabled.
    /// - Parameter peers: has to live as long as they.
    func sandbox(peers: any PeerDirectory, now: Double) throws(ShuntError) -> LoopRules? {
        guard !set.rules.isEmpty else { return nil }
        let rules = try LoopRules(
            set: set, worker: worker, loop: 0, limits: limits, shared: try SharedStore(limits: limits),
            apart: try SharedStore(limits: limits), log: { _ in },
            inflate: { (packed, compression, limit, check) throws(ShuntError) in
                try inflate(packed, compression, limit: limit, check: check)
            }, now: now)
        rules.peers = peers
        rules.sessions = sessions
        return rules
    }

    /// The rules for one loop, each in a Lua state of its own. Called on the loop; nil where none are enabled.
    func load(
        loop: UInt8, peers: any PeerDirectory, watching watched: Set<String> = [], now: Double
    ) throws(ShuntError) -> LoopRules? {
        guard !set.rules.isEmpty else { return nil }
        let rules = try LoopRules(
            set: set, worker: worker, loop: Int(loop), limits: limits, shared: shared, apart: apart, watching: watched,
            log: { [logger, events] entry in
                if let event = entry.event { events.add(event, rule: entry.rule, loop: loop, now: Worker.now) }
                logger.log(level: entry.level.swiftLog, "\(entry.text)", metadata: entry.metadata)
            },
            inflate: { (packed, compression, limit, check) throws(ShuntError) in
                try inflate(packed, compression, limit: limit, check: check)
            }, now: now)
        rules.peers = peers
        rules.sessions = sessions
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
        logsPayloads = rules.logPayloads
        watchedSeconds = rules.guard.window.seconds
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
        var metadata: Logger.Metadata = ["rule": "\(rule)"]
        if !fields.isEmpty { metadata["fields"] = "\(fields)" }
        if !topic.isEmpty { metadata["topic"] = "\(topic)" }
        if !client.isEmpty { metadata["client"] = "\(client)" }
        return metadata
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
public struct RuleChanges: Equatable, Codable, Sendable {
    /// The number of the version that runs now.
    public let version: Int
    /// Rules that are new, or have other files or settings.
    public let anew: [String]
    /// Rules that go on as they are, in another mode or for other clients.
    public let trials: [String]
    /// Rules that run no more.
    public let gone: [String]

    public var isEmpty: Bool { anew.isEmpty && trials.isEmpty && gone.isEmpty }
}

extension RuleTrial {
    /// The plugins on trial, by their names.
    public static func all(of rules: Configuration.Rules) -> [String: RuleTrial] {
        Dictionary(
            uniqueKeysWithValues: rules.trials.map { name, trial in
                let mode: RuleMode =
                    switch trial.mode {
                    case .live: .live
                    case .shadow: .shadow
                    case .canary: .canary(RuleShare(percent: Double(trial.share), uids: Set(trial.uids), addresses: trial.addresses))
                    }
                let settings = rules.settings[name + suffix].map(SettingValue.init)
                return (name, RuleTrial(mode: mode, directory: trial.directory.isEmpty ? nil : trial.directory, settings: settings))
            })
    }
}
