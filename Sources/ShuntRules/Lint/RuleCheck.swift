import LuaSyntax
import ShuntCore

/// Looks for mistakes in plugins, without running them for a message: `shunt rule check`.
public struct RuleCheck {
    /// What a plugin may do besides what senders may.
    public struct Grant: Equatable, Sendable {
        public let rule: String
        /// As `publish audit/#`.
        public let rights: [String]
    }

    public private(set) var findings: [RuleFinding] = []
    public private(set) var grants: [Grant] = []
    /// How many plugins were looked at.
    public private(set) var count = 0
    private var rules: [Rule] = []
    /// By the rule's name: the places of the plugins that have it.
    private var loaded: [String: [String]] = [:]

    /// A rule among others.
    private struct Rule {
        let name: String
        let priority: Int
        let outline: RuleOutline
        let effects: RuleEffects
        let file: LintFile

        /// Nothing of what it decides is applied.
        var isShadow: Bool { mode == "shadow" }
        /// What it decides is applied for some clients.
        var isCanary: Bool { mode == "canary" }
        private var mode: String? { if case .text(let mode)? = outline.value("mode")?.kind { mode } else { nil } }
    }

    public var errors: Int { findings.count { $0.severity == .error } }
    public var warnings: Int { findings.count - errors }

    /// - Parameter directories: the folders of plugins, which are taken to run together.
    public init(_ directories: [String], limits: RuleLimits = RuleLimits()) {
        var limits = limits
        // As a worker with the default configuration.
        (limits.callNanosecondsCap, limits.callMemoryCap) = (limits.callNanoseconds, limits.callMemory)
        for directory in directories {
            count += 1
            do throws(ShuntError) {
                check(try RulePlugin(directory: directory, limits: limits), limits)
            } catch {
                findings.append(Self.finding(error, .error))
            }
        }
        findings += together()
        for (name, folders) in loaded.sorted(by: { $0.key < $1.key }) where folders.count > 1 {
            for folder in folders.dropFirst() {
                findings.append(
                    RuleFinding(
                        severity: .error, kind: .rule, location: folder, message: "two rules are named \(name)", help: "the other is \(folders[0])"))
            }
        }
    }

    private static func finding(_ error: ShuntError, _ severity: RuleFinding.Severity) -> RuleFinding {
        RuleFinding(severity: severity, kind: .rule, location: error.location ?? "-", message: error.message, help: error.help)
    }

    private mutating func check(_ plugin: RulePlugin, _ limits: RuleLimits) {
        var files: [LintFile] = []
        var found: [RuleFinding] = []
        for source in plugin.sources + (plugin.test.map { [$0] } ?? []) {
            let text = LuaSource(source.text)
            let path = "\(plugin.directory)/\(source.path)"
            do throws(LuaSyntaxError) {
                files.append(LintFile(path: path, tree: try LuaTree(text), isTest: source == plugin.test))
            } catch {
                let place = text.place(error.offset)
                found.append(
                    RuleFinding(
                        severity: .error, kind: .syntax, location: "\(path):\(place.line):\(place.column)", message: error.message,
                        help: error.help))
            }
        }
        let loading = Loading(plugin, limits)
        let meant = files.reduce(into: Set<String>()) { $0.formUnion($1.tree.globalsSetOutside) }
        let added = files.reduce(into: Set<String>()) { $0.formUnion($1.tree.libraryMembersSet) }
        let metamethods = files.reduce(into: Set<String>()) { $0.formUnion($1.tree.metamethods) }
        let hasSettings = loading.definition.map { $0.schema != nil } ?? true
        var told: Set<String> = []
        for index in files.indices {
            var file = files[index]
            file.checkNames(meant: meant, hasSettings: hasSettings, told: &told)
            let outline = RuleOutline(file.tree)
            file.checkKeys(outline)
            file.checkFilters()
            file.checkRequires(Set(plugin.sources.map(\.path)))
            let isRule = index == 0 && file.path.hasSuffix("/rule.lua")
            var shapes = ShapeChecks(file, isRule || file.isTest ? outline : RuleOutline(empty: ()), added: added, metamethods: metamethods)
            shapes.run()
            file = shapes.file
            if isRule {
                var settings = SettingChecks(file, outline, loading.definition?.schema)
                settings.run()
                file = settings.file
                file.checkReturn()
                file.checkRule(outline)
                file.checkContent(outline)
                let effects = RuleEffects(outline, file.tree, others: files.dropFirst().filter { !$0.isTest }.map(\.tree))
                rules.append(Rule(name: plugin.name, priority: outline.priority, outline: outline, effects: effects, file: file))
            }
            found += file.told()
        }
        let isParsed = !found.contains { $0.kind == .syntax }
        findings += found
        start(plugin, loading, limits, found, isParsed, files)
    }

    /// With a column, where a worker's error has a line alone: the column of the key that it is about, else of the line's first word.
    private static func placed(_ finding: RuleFinding, _ files: [LintFile]) -> String {
        for file in files where finding.location.hasPrefix(file.path) {
            let rest = finding.location.dropFirst(file.path.utf8.count)
            guard rest.hasPrefix(":"), let line = Int(rest.dropFirst()) else { continue }
            return file.location(file.offset(ofKeyIn: finding.message, line: line))
        }
        return finding.location
    }

    /// What comes of loading a plugin's files.
    private struct Loading {
        var definition: RuleDefinition?
        var warnings: [ShuntError] = []
        var error: ShuntError?

        init(_ plugin: RulePlugin, _ limits: RuleLimits) {
            do throws(ShuntError) {
                let (read, warnings) = try RuleSet.definition(of: plugin, limits: limits)
                (definition, self.warnings) = (read, warnings)
            } catch { self.error = error }
        }
    }

    /// What a worker would say of it. What the checks have told with a column is not told again.
    private mutating func start(
        _ plugin: RulePlugin, _ loading: Loading, _ limits: RuleLimits, _ found: [RuleFinding], _ isParsed: Bool, _ files: [LintFile]
    ) {
        func isTold(_ error: ShuntError) -> Bool {
            guard let location = error.location else { return false }
            if error.message.hasPrefix("a rule file returns its table") { return found.contains { $0.message == LintFile.returnsNothing } }
            if found.contains(where: { $0.message == error.message }) { return true }
            // What the rule's table says wrong has no other finding, but in match and settings.
            let key = String(error.message.prefix { $0.isLetter || $0 == "_" })
            let isInner = error.message.hasPrefix("unknown key ") && !error.message.hasSuffix("in the rule's table")
            let isOfTable = isInner || RuleDefinitionReader.keys.contains(key)
            guard !isOfTable || key == "match" || key == "settings" else { return false }
            return found.contains { $0.location.hasPrefix(location + ":") }
        }
        let first = findings.count
        defer {
            for index in findings.indices[first...] { findings[index].location = Self.placed(findings[index], files) }
        }
        for error in loading.error?.all ?? [] where isParsed && !isTold(error) { findings.append(Self.finding(error, .error)) }
        guard let definition = loading.definition else { return }
        loaded[definition.name, default: []].append(plugin.location(of: "name"))
        checkStart(of: plugin, definition, limits, isTold)
        findings += loading.warnings.filter { !isTold($0) && !$0.message.hasPrefix("a function sets the global") }.map { Self.finding($0, .warning) }
        guard let rights = definition.grants?.listed, !rights.isEmpty else { return }
        grants.append(Grant(rule: definition.name, rights: rights))
    }

    /// Runs `on_load` and a `match` that is a function, where no settings must be given. A rule without a schema may want some that nobody
    /// knows of.
    private mutating func checkStart(
        of plugin: RulePlugin, _ definition: RuleDefinition, _ limits: RuleLimits, _ isTold: (ShuntError) -> Bool
    ) {
        do throws(ShuntError) {
            _ = try RuleSet.check(plugin, .object([:]), limits, 0)
        } catch {
            // A rule that says of its settings that they cannot be empty is right.
            let isAboutSettings = error.code.rawValue.hasPrefix("config.") || error.location?.hasPrefix("rules.settings") == true
            guard !isAboutSettings, !isTold(error) else { return }
            let hasSchema = definition.schema != nil
            var finding = Self.finding(error, hasSchema ? .error : .warning)
            if !hasSchema { finding.message = "without settings: " + finding.message }
            findings.append(finding)
        }
    }

    // MARK: rules together

    private func together() -> [RuleFinding] {
        let ordered = rules.sorted { ($1.priority, $0.name) < ($0.priority, $1.name) }
        var found: [RuleFinding] = []
        var isRenamed = false
        for (index, upper) in ordered.enumerated() {
            var file = LintFile(path: upper.file.path, tree: upper.file.tree, isTest: false)
            file.checkConditions(upper.outline, isRenamed: isRenamed)
            found += file.told()
            guard !upper.isShadow else { continue }
            isRenamed = isRenamed || upper.effects.renames
            var between = [upper]
            for lower in ordered[(index + 1)...] {
                if !upper.isCanary { found += Self.overlaps(upper, lower, between) }
                if !lower.isShadow { between.append(lower) }
                if lower.effects.guards, !lower.isShadow { found += Self.unguarded(upper, lower) }
            }
            for (place, other) in ordered.enumerated() where place != index && other.effects.guards && !other.isShadow {
                found += Self.unguardedWills(upper, other, isBefore: place < index)
            }
        }
        return found
    }

    /// - Parameter between: the upper rule, and those between the two: what they change, the lower rule may keep back.
    private static func overlaps(_ upper: Rule, _ lower: Rule, _ between: [Rule]) -> [RuleFinding] {
        var found: [RuleFinding] = []
        let (renames, changes) = (between.contains { $0.effects.renames }, between.contains { $0.effects.changes })
        for drop in lower.effects.drops {
            let other = upper.effects.drops.first { other in
                guard other.hook == drop.hook, other.condition == drop.condition else { return false }
                if changes, other.condition != nil { return false }
                if renames, other.filter != nil { return false }
                guard let one = other.filter, let two = drop.filter else { return true }
                return LintFilters.meet(one, two)
            }
            guard let other else { continue }
            found.append(
                RuleFinding(
                    severity: .warning, kind: .overlap, location: lower.file.location(drop.offset), message: told(other, by: upper.name, drop),
                    help: "the other place: \(upper.file.location(other.offset))"))
        }
        return found
    }

    private static func told(_ upper: RuleEffects.Drop, by name: String, _ lower: RuleEffects.Drop) -> String {
        let what =
            upper.condition != nil
            ? "the same messages, by the same condition" : (lower.filter ?? upper.filter).map { "messages of \"\($0)\"" } ?? "all messages"
        guard upper.verdict != lower.verdict else {
            return "\(name) runs before, and keeps back \(what)" + (upper.condition == nil ? " too" : "")
        }
        return "\(name) runs before, and \(upper.verdict)s \(what): this rule never \(lower.verdict)s them"
    }

    /// Copies that a rule sends past one that runs later, and rewrites payloads.
    private static func unguarded(_ upper: Rule, _ lower: Rule) -> [RuleFinding] {
        guard meet(upper, lower) else { return [] }
        func finding(_ offset: Int, _ message: String) -> RuleFinding {
            RuleFinding(
                severity: .warning, kind: .unguarded, location: upper.file.location(offset), message: message,
                help: "give \(lower.name) a higher priority than \(upper.priority)")
        }
        let copies = upper.effects.copies.map {
            finding($0.offset, "\($0.what) sends a message that \(lower.name), which changes payloads, does not see")
        }
        return copies
            + upper.effects.elsewhere.filter { !sees(lower, $0.topic) }.map { copy in
                let limit = lower.outline.isMatchKnown ? "" : " unless its match takes that topic"
                let topic = PrintableText.of(copy.topic)
                return finding(
                    copy.offset, "\(copy.what) sends the payload to \(topic), where \(lower.name), which changes payloads, does not see it\(limit)")
            }
    }

    /// Whether a rule is asked about messages of a topic, as far as that is written out.
    private static func sees(_ rule: Rule, _ topic: String) -> Bool {
        guard rule.outline.isMatchKnown else { return false }
        return rule.outline.filters?.contains { LintFilters.meet($0.text, topic) } ?? true
    }

    private static func meet(_ one: Rule, _ other: Rule) -> Bool {
        let filters = other.outline.filters?.map(\.text) ?? ["#"]
        return (one.outline.filters?.map(\.text) ?? ["#"]).contains { filter in filters.contains { LintFilters.meet(filter, $0) } }
    }

    /// Wills that a rule publishes past one that rewrites payloads: whatever their order, as `on_will` comes before `on_message`.
    private static func unguardedWills(_ rule: Rule, _ other: Rule, isBefore: Bool) -> [RuleFinding] {
        guard meet(rule, other), !other.effects.guardsWills || !isBefore else { return [] }
        return rule.effects.willCopies.map { copy in
            RuleFinding(
                severity: .warning, kind: .unguarded, location: rule.file.location(copy.offset),
                message: "\(copy.what) in on_will sends a will that \(other.name), which changes payloads, does not see",
                help: "return nothing: then the will goes through the rules of its topic")
        }
    }
}

extension LuaTree {
    /// The globals that the file sets as it is loaded.
    var globalsSetOutside: Set<String> {
        var names: Set<String> = []
        var walker = LintWalker()
        walker.statement = { one, depth in
            guard depth == 0 else { return }
            for name in one.targets.compactMap(\.globalTarget) { names.insert(name.text) }
        }
        walker.walk(body)
        return names
    }
}

extension LuaTree {
    /// What the file may give metatables: names, texts and keys such as `__lt`.
    fileprivate var metamethods: Set<String> {
        var names: Set<String> = []
        func add(_ name: String) { if name.hasPrefix("__") { names.insert(name) } }
        var walker = LintWalker()
        walker.expression = { one, _ in
            switch one.kind {
            case .text(let text): add(text)
            case .table(let fields): for case .name(let name) in fields.map(\.key) { add(name) }
            case .suffixed(_, let suffixes): for case .field(let name) in suffixes.map(\.kind) { add(name) }
            default: break
            }
        }
        walker.walk(body)
        return names
    }
}

extension LuaTree {
    /// What the file adds to the libraries, as `table.contains`.
    fileprivate var libraryMembersSet: Set<String> {
        var names: Set<String> = []
        var walker = LintWalker()
        walker.statement = { one, _ in
            for target in one.targets {
                guard let (library, _, suffixes) = target.ofGlobal, suffixes.count == 1, case .field(let name) = suffixes[0].kind else { continue }
                names.insert("\(library).\(name)")
            }
        }
        walker.walk(body)
        return names
    }
}

extension RuleDefinition.Grants {
    /// As `publish audit/#`, one by one.
    var listed: [String] {
        publish.map { "publish \(String(decoding: $0, as: UTF8.self))" } + chat.map { "chat \(String(decoding: $0, as: UTF8.self))" }
            + (broadcast ? ["broadcast"] : [])
    }
}
