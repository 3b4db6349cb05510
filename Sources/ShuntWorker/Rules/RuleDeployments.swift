import Logging
import ShuntConfig
import ShuntCore
import ShuntReactor
import ShuntRules
import Synchronization

/// The versions of a worker's rules: the one that runs, those before it, and how one takes over from another.
final class RuleDeployments: Sendable {
    private struct State {
        var current: WorkerRules
        var configuration: Configuration
        /// The versions before, the last one last.
        var earlier: [WorkerRules] = []
        var lastNumber = 1
        var watched = DeployGuard(.init())
        /// The files as they were when they were read last.
        var files = RulePaths.Snapshot()
        /// The plugins' folders, when they were read last.
        var folders: [String: RulePlugin.Entry] = [:]
        var refusal: RuleReport.Refusal?
    }

    private let state: Mutex<State>
    /// Held while a version takes over: one at a time.
    private let changing = Mutex<Void>(())
    private let peers: LoopPeers
    private let logger = Logger(label: "shunt.rules")
    private let isStopping = Atomic<Bool>(false)

    /// The versions before that are kept, and their files' bytes.
    private static let kept = 8
    private static let keptBytes = 32 << 20

    init(_ rules: WorkerRules, _ configuration: Configuration, _ peers: LoopPeers) {
        var first = State(current: rules, configuration: configuration)
        first.files = Self.paths(configuration).snapshot()
        first.folders = RulePlugin.entries(in: configuration.rules.directory)
        first.watched.settings = Self.guardSettings(configuration)
        state = Mutex(first)
        self.peers = peers
    }

    var current: WorkerRules { state.withLock { $0.current } }
    var configuration: Configuration { state.withLock { $0.configuration } }
    var earlier: [WorkerRules] { state.withLock { $0.earlier } }
    var refusal: RuleReport.Refusal? { state.withLock { $0.refusal } }
    var isGuarding: Bool { state.withLock { $0.watched.isLooking } }

    func stop() { isStopping.store(true, ordering: .relaxed) }

    // MARK: changes

    /// Reads the plugins again, checks and tests what has changed, and has all loops switch to it.
    /// - Parameters:
    ///   - configuration: another one; nil: the same.
    ///   - isCancelled: whether the process is to end.
    /// - Throws: `rule.*`; then nothing has changed.
    func reload(
        _ configuration: Configuration? = nil, isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(ShuntError) -> RuleChanges {
        do throws(ShuntError) {
            return try exclusively { () throws(ShuntError) in
                let before = state.withLock { $0 }
                let configuration = configuration ?? before.configuration
                let files = Self.paths(configuration).snapshot()
                let folders = RulePlugin.entries(in: configuration.rules.directory)
                state.withLock { $0.files = files }
                let stops = { @Sendable [self] in isStopping.load(ordering: .relaxed) || isCancelled() }
                let now = Worker.now
                let next = try OwnThread.run { () throws(ShuntError) in
                    try Self.checked(configuration, after: before, now: now, isCancelled: stops)
                }
                // What the version before has done is known before loops have forgotten it.
                let records = records(of: before.current)
                let isGuarded = configuration.rules.guard.window.seconds > 0
                let watched = isGuarded ? next.set.applied(beyond: before.current.set) : []
                try peers.switchRules(from: before.current, to: next, watching: watched)
                let changes = took(next, configuration, records, now: now)
                state.withLock { $0.folders = folders }
                if !changes.isEmpty { peers.trimMemory() }
                return changes
            }
        } catch {
            refused(error)
            throw error
        }
    }

    /// Reads a version and tests what of it is new.
    private static func checked(
        _ configuration: Configuration, after before: State, now: Double, isCancelled: @escaping @Sendable () -> Bool
    ) throws(ShuntError) -> WorkerRules {
        let next = try before.current.next(configuration, now: now)
        try noneIsMissing(in: next, configuration, after: before)
        guard configuration.rules.tests else { return next }
        let tested = next.set.rules.map(\.plugin).filter { plugin in !before.current.set.rules.contains { $0.plugin == plugin } }
        try DeploymentTests(limits: next.limits, isCancelled: isCancelled).run(tested)
        return next
    }

    /// Under `all` nobody has said that a plugin is to go: it is missed, in another directory too.
    private static func noneIsMissing(in next: WorkerRules, _ configuration: Configuration, after before: State) throws(ShuntError) {
        let rules = configuration.rules
        guard rules.enabled == .all else { return }
        let names = Set(next.set.rules.map(\.plugin.name))
        let running = before.current.set.rules.filter { !$0.isBeside }.map(\.plugin.name)
        for name in running where !names.contains(name) && !rules.disabled.contains(name) {
            guard !RulePlugin.isHidden(name, in: rules.directory, before.folders[name]) else { continue }
            let isMoved = rules.directory != before.configuration.rules.directory
            throw ShuntError(
                .ruleMissing, "the plugin \(name) runs, and \(isMoved ? "this directory has none" : "its folder is gone")", at: rules.directory,
                help: "put it back; to remove a plugin list it in rules.disabled, or rename its folder to .\(name) first")
        }
    }

    private func took(
        _ next: WorkerRules, _ configuration: Configuration, _ records: [String: DeployGuard.Record], now: Double
    ) -> RuleChanges {
        let changes = state.withLock { state in
            state.configuration = configuration
            state.refusal = nil
            state.watched.settings = Self.guardSettings(configuration)
            let before = state.current
            guard !next.isSame(as: before) else {
                state.current = next.taking(over: before, as: before.number, at: before.loadedAt, now: now)
                return RuleChanges(version: before.number, anew: [], trials: [], gone: [])
            }
            state.lastNumber += 1
            state.current = next.taking(over: before, as: state.lastNumber, at: now, now: now)
            state.earlier.append(before)
            state.earlier.keepLast(Self.kept, bytes: Self.keptBytes)
            // Its tests have taken their time.
            state.watched.took(next.set, after: before.set, as: state.lastNumber, records: records, now: Worker.now)
            return state.current.changes(since: before)
        }
        if !changes.isEmpty { tell(.rulesLoaded, Self.text(of: changes)) }
        return changes
    }

    /// Goes back to the version before the one that runs.
    /// - Throws: `rule.missing` if there is none; `rule.*` if a loop cannot go back.
    func rollback() throws(ShuntError) -> RuleChanges {
        do throws(ShuntError) {
            return try exclusively { () throws(ShuntError) in try goBack(to: state.withLock { $0.earlier.last }) }
        } catch {
            tell(.rulesRefused, "\(Self.noWayBack): \(error)")
            throw error
        }
    }

    private static let noWayBack = "the version before could not be brought back"

    /// - Parameter why: where no operator has asked for it.
    private func goBack(to target: WorkerRules?, why: String? = nil) throws(ShuntError) -> RuleChanges {
        let before = current
        guard let target = target.map(before.bringingBack) else {
            throw ShuntError(
                .ruleMissing, "there is no version of the rules before version \(before.number)",
                help: "the worker keeps those that it has run since it started, \(Self.kept) at most")
        }
        try peers.switchRules(from: before, to: target)
        defer { peers.trimMemory() }
        let changes = target.changes(since: before)
        state.withLock { state in
            state.current = target.taking(over: before, as: target.number, at: target.loadedAt, now: Worker.now)
            state.earlier.removeAll { $0.number >= target.number }
            state.watched.wentBack(to: target.set, from: before.set)
        }
        let because = why.map { "; \(EventRecord.byItself): \($0)" } ?? ""
        let text = "version \(before.number) is gone, version \(target.number) is back" + because
        tell(.rulesRolledBack, text)
        if why == nil { logger.notice("rolled the rules back: \(text)") } else { logger.error("rolled the rules back: \(text)") }
        return changes
    }

    private func exclusively<Value>(_ body: () throws(ShuntError) -> Value) throws(ShuntError) -> Value {
        let result = changing.withLock { _ -> Result<Value, ShuntError> in
            do throws(ShuntError) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func refused(_ error: ShuntError) {
        state.withLock { $0.refusal = RuleReport.Refusal(at: Worker.now, why: "\(error)") }
        peers.events.add(.rulesRefused, "\(error)", now: Worker.now)
    }

    private func tell(_ kind: EventRecord.Kind, _ text: String) { peers.events.add(kind, text, now: Worker.now) }

    private static func text(of changes: RuleChanges) -> String {
        func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
        let trials = changes.trials.isEmpty ? "" : "trial changed: \(list(changes.trials)); "
        return "version \(changes.version); loaded anew: \(list(changes.anew)); \(trials)ended: \(list(changes.gone))"
    }

    // MARK: the first minute of a rule's version

    private static func guardSettings(_ configuration: Configuration) -> DeployGuard.Settings {
        let keys = configuration.rules.guard
        var settings = DeployGuard.Settings()
        (settings.window, settings.calls) = (keys.window.seconds, UInt64(keys.calls))
        (settings.errors, settings.slower) = (Double(keys.errors), Double(keys.slower))
        return settings
    }

    /// What each rule of a version has done in it, on all loops that have told.
    private func records(of version: WorkerRules) -> [String: DeployGuard.Record] {
        let digests = Dictionary(version.set.rules.map { ($0.definition.name, $0.digest) }) { first, _ in first }
        var records: [String: DeployGuard.Record] = [:]
        for rule in peers.figures().flatMap(\.rules) where digests[rule.rule] == rule.version {
            records[rule.rule, default: .init()].add(.init(hooks: rule.current, trips: rule.currentTrips))
        }
        return records
    }

    /// Looks at what has begun lately; goes back to the version before it if it is worse than what ran before.
    func look() {
        guard isGuarding else { return }
        let current = current
        let records = records(of: current)
        let finding = state.withLock { state in
            // Another version may have begun meanwhile.
            state.current.number == current.number ? state.watched.look(at: records, now: Worker.now) : nil
        }
        guard let finding else { return }
        do throws(ShuntError) {
            try exclusively { () throws(ShuntError) in
                // A reload that was under way may have replaced it.
                guard state.withLock({ $0.watched.stands(finding) }) else { return }
                _ = try goBack(to: state.withLock { $0.earlier.last { $0.number < finding.version } }, why: finding.why)
            }
        } catch {
            state.withLock { $0.watched.giveUp(finding) }
            let text = "\(Self.noWayBack), \(EventRecord.byItself): \(finding.why): \(error)"
            tell(.rulesRefused, text)
            logger.error("a version of the rules is worse than the one before: \(text)")
        }
    }

    // MARK: files

    private static func paths(_ configuration: Configuration) -> RulePaths {
        let rules = configuration.rules
        return RulePaths([rules.directory] + rules.trials.values.map(\.directory).filter { !$0.isEmpty }.sorted())
    }

    var isWatching: Bool { state.withLock { $0.configuration.rules.watch } }

    /// The files as they are now, if they are others than were read.
    func changedFiles() -> RulePaths.Snapshot? {
        let (configuration, seen) = state.withLock { ($0.configuration, $0.files) }
        let now = Self.paths(configuration).snapshot()
        return now == seen ? nil : now
    }

    /// An operator has asked for the files to be read again; the log says how that went.
    func reloadAsAsked() throws(ShuntError) -> RuleChanges {
        do throws(ShuntError) {
            let changes = try reload()
            logger.notice("reloaded the rules", metadata: ["rules": "\(Self.text(of: changes))"])
            return changes
        } catch {
            logger.error("the rules were not reloaded, and the old ones go on: \(error)")
            throw error
        }
    }

    /// Takes on files that have changed, and says how that went.
    func reloadChanged() {
        do throws(ShuntError) {
            let changes = try reload()
            guard !changes.isEmpty else { return }
            logger.notice("files of the rules have changed", metadata: ["rules": "\(Self.text(of: changes))"])
        } catch {
            logger.error("files of the rules have changed, and the old rules go on: \(error)")
        }
    }
}

extension [WorkerRules] {
    /// Lets go of the oldest.
    fileprivate mutating func keepLast(_ count: Int, bytes: Int) {
        var held = 0
        var kept = 0
        for version in reversed() {
            held += version.set.rules.reduce(0) { $0 + $1.plugin.bytes }
            // The one before is always there to go back to.
            guard kept < 1 || (kept < count && held <= bytes) else { break }
            kept += 1
        }
        removeFirst(self.count - kept)
    }
}

extension LoopPeers {
    /// Has all loops switch to other rules, or none: where one cannot, those that have go back.
    /// - Parameter watched: the rules of the next version that are looked at.
    fileprivate func switchRules(
        from before: WorkerRules, to next: WorkerRules, watching watched: Set<String> = []
    ) throws(ShuntError) {
        let agreement = LoopAgreement(of: count)
        let failures = ask { $0.setRules(next, watching: watched, agreement) }.compactMapValues { $0 }
        onEach { $0.settleRules(all: failures.isEmpty) }
        guard let loop = failures.keys.min(), var error = failures[loop] else {
            // Answers that were asked for by another permit are nobody's now.
            if next.permits != before.permits { lookups.forgetAnswers() }
            return
        }
        let why = "loop \(loop) could not switch, and all keep the old rules; what on_unload saved there may be what on_load does not take"
        error.help = [error.help, why].compactMap { $0 }.joined(separator: "; ")
        throw error
    }

    /// Gives back to the system what the version before took, once all loops have let go of it.
    fileprivate func trimMemory() {
        _ = ask { _ in true }
        ProcessMemory.trim()
    }
}
