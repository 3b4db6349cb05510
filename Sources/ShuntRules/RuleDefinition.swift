import CLuaHost
import ShuntCore

/// What a rule's table says, checked.
public struct RuleDefinition: Equatable, Sendable {
    /// Which messages a rule wants: tested natively.
    public struct Match: Equatable, Sendable {
        /// Which of a rule's hooks are called: each is about messages of one kind, on_deliver and on_undelivered about all.
        public var kinds = Set(MessageKind.allCases)
        /// MQTT topic filters, for the topic or the chat's id; nil takes all. A broadcast has neither.
        public var filters: [String]?
    }

    public enum OnError: String, Sendable, CaseIterable {
        case pass, drop, reject
    }

    /// When a rule that fails is switched off.
    public struct Breaker: Equatable, Sendable {
        /// More errors than this within `window` seconds switch it off, for `retry` seconds.
        public var errors = 100
        public var window = 10.0
        public var retry = 30.0
    }

    /// What a rule may do besides what the sender of a message may.
    public struct Grants: Equatable, RuleGrants {
        /// Topic filters.
        var publish: [[UInt8]] = []
        /// Filters for the ids of chats.
        var chat: [[UInt8]] = []
        var broadcast = false

        public func allow(_ action: AccessAction, _ subject: Bytes) -> Bool {
            switch action {
            case .publish: publish.contains { $0.withUnsafeBytes { TopicFilter.takes(subject, filter: $0) } }
            case .chat: chat.contains { $0.withUnsafeBytes { TopicFilter.takes(subject, filter: $0) } }
            case .broadcast: broadcast
            case .subscribe, .share: false
            }
        }
    }

    public var name: String
    public var priority: Int
    /// nil: nothing.
    public var grants: Grants?
    public var match = Match()
    public var nanoseconds: UInt64
    public var memory: Int
    /// nil: reject for on_connect, on_auth and on_subscribe, pass for the rest.
    public var onError: OnError?
    public var breaker = Breaker()
    /// Seconds between two calls of `on_tick`.
    public var tick = 60.0
    /// What the rule says of its settings; nil where it says nothing.
    public var schema: SettingsSchema?
    /// Where the configuration says nothing else.
    public var mode = RuleMode.live
    /// The names of the hooks that this version calls.
    public var hooks: Set<String> = []

    func onError(of hook: shunt_hook) -> OnError {
        onError ?? (hook == SHUNT_ON_CONNECT || hook == SHUNT_ON_AUTH || hook == SHUNT_ON_SUBSCRIBE ? .reject : .pass)
    }

    func policy() -> shunt_rule_policy {
        var policy = shunt_rule_policy()
        policy.nanoseconds = nanoseconds
        policy.memory = memory
        withUnsafeMutableBytes(of: &policy.on_error) { bytes in
            let actions = bytes.bindMemory(to: shunt_on_error.self)
            for index in actions.indices {
                actions[index] =
                    switch onError(of: shunt_hook(UInt32(index))) {
                    case .pass: SHUNT_PASS_ON_ERROR
                    case .drop: SHUNT_DROP_ON_ERROR
                    case .reject: SHUNT_REJECT_ON_ERROR
                    }
            }
        }
        return policy
    }
}

/// Reads a rule's table, and says what is wrong with it where.
struct RuleDefinitionReader {
    let plugin: RulePlugin
    let limits: RuleLimits
    var warnings: [ShuntError] = []
    /// nil: patterns of settings are not looked at.
    var finds: PatternFinder?

    static let keys = ["name", "priority", "match", "budget", "on_error", "breaker", "grants", "tick", "settings", "mode"]

    init(plugin: RulePlugin, limits: RuleLimits) {
        self.plugin = plugin
        self.limits = limits
    }

    func invalid(_ message: String, key: String, help: String? = nil) -> ShuntError {
        ShuntError(.ruleInvalid, message, at: plugin.location(of: key), help: help)
    }

    mutating func read(_ table: [String: LuaValue]) throws(ShuntError) -> RuleDefinition {
        var definition = RuleDefinition(
            name: plugin.name, priority: 0, nanoseconds: limits.callNanoseconds, memory: limits.callMemory)
        for (key, value) in table.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "name": definition.name = try name(value)
            case "priority":
                guard case .int(let priority) = value else {
                    throw invalid("priority is a \(value.typeName)", key: key, help: "a whole number; higher runs first")
                }
                definition.priority = Int(priority)
            case "match":
                if case .function = value { continue }
                definition.match = try match(value)
            case "budget": try budget(value, &definition)
            case "on_error":
                guard let action = value.string.flatMap(RuleDefinition.OnError.init) else {
                    throw invalid("on_error is \(shown(value))", key: key, help: "pass, drop or reject")
                }
                definition.onError = action
            case "breaker": definition.breaker = try breaker(value)
            case "grants": definition.grants = try grants(value)
            case "settings": definition.schema = try SettingTypeReader(plugin: plugin, finds: finds).schema(value)
            case "mode": definition.mode = try mode(value)
            case "tick":
                guard let seconds = value.number, (0.1...LoopRules.longestTick).contains(seconds) else {
                    throw invalid("tick is \(shown(value))", key: key, help: "seconds between two calls of on_tick, 0.1 to 86400")
                }
                definition.tick = seconds
            default: try hook(key, value, &definition)
            }
        }
        if definition.hooks.isEmpty {
            warnings.append(ShuntError(.ruleInvalid, "the rule has no hook that this version calls", at: plugin.location(of: "")))
        }
        return definition
    }

    private func mode(_ value: LuaValue) throws(ShuntError) -> RuleMode {
        switch value.string {
        case "live": .live
        case "shadow": .shadow
        case "canary": .canary(RuleShare())
        default:
            throw invalid(
                "mode is \(shown(value))", key: "mode", help: "live, shadow, or canary; rules.trials says for which clients a canary decides")
        }
    }

    private func name(_ value: LuaValue) throws(ShuntError) -> String {
        let allowed = "1 to 100 of a-z, A-Z, 0-9, - and _"
        guard let name = value.string else { throw invalid("name is a \(value.typeName)", key: "name", help: allowed) }
        let isName = name.utf8.allSatisfy { byte in
            (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D || byte == 0x5F
        }
        guard isName, (1...100).contains(name.utf8.count) else { throw invalid("name is \"\(name)\"", key: "name", help: allowed) }
        return name
    }

    private mutating func hook(_ key: String, _ value: LuaValue, _ definition: inout RuleDefinition) throws(ShuntError) {
        guard let hook = RuleHook(rawValue: key) else {
            let known = Self.keys + RuleHook.allCases.map(\.rawValue)
            let nearest = Suggestion.closest(to: key, in: known).map { "did you mean \($0)?" }
            if key.hasPrefix("on_") {
                let hooks = RuleHook.called.map(\.rawValue).joined(separator: ", ")
                throw invalid("unknown hook \(key)", key: key, help: nearest ?? "hooks: " + hooks)
            }
            throw invalid(
                "unknown key \(key.isEmpty ? "that is not a text" : key) in the rule's table", key: key,
                help: nearest ?? "allowed: \(Self.keys.joined(separator: ", ")) and hooks; keep others in a local")
        }
        guard case .function(let line) = value else {
            throw invalid("\(key) is a \(value.typeName)", key: key, help: "a function")
        }
        if hook.index != nil {
            definition.hooks.insert(key)
        } else {
            warnings.append(ShuntError(.ruleInvalid, "this version does not call \(key)", at: "\(plugin.directory)/rule.lua:\(line)"))
        }
    }

    // MARK: match

    /// Hooks that the rule's `match` keeps from ever being called.
    func unreachable(_ definition: RuleDefinition) -> [ShuntError] {
        RuleHook.called.filter { definition.hooks.contains($0.rawValue) }.compactMap { hook in
            guard let kinds = hook.kinds, kinds.isDisjoint(with: definition.match.kinds) else { return nil }
            return ShuntError(
                .ruleInvalid, "match.kind keeps \(hook.rawValue) from being called", at: plugin.location(of: hook.rawValue),
                help: "it is about kind " + kinds.map { "\($0)" }.joined(separator: ", "))
        }
    }

    func match(_ value: LuaValue) throws(ShuntError) -> RuleDefinition.Match {
        guard let table = value.table ?? value.list.map({ _ in [:] }) else {
            throw invalid("match is a \(value.typeName)", key: "match", help: "a table, or a function of the settings that returns one")
        }
        var match = RuleDefinition.Match()
        for (key, value) in table.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "kind": match.kinds = Set(try texts(value, key: key).map { (kind) throws(ShuntError) in try self.kind(kind) })
            case "topic":
                let filters = try texts(value, key: key)
                for filter in filters where !isFilter(filter) {
                    throw invalid(
                        "match.topic is no topic filter: \"\(filter)\"", key: "topic",
                        help: "+ and # stand alone between slashes, # comes last")
                }
                match.filters = filters
            default: throw invalid("unknown key \(key) in match", key: key, help: Self.allowed(["kind", "topic"], for: key))
            }
        }
        return match
    }

    private func kind(_ text: String) throws(ShuntError) -> MessageKind {
        guard let kind = MessageKind.allCases.first(where: { "\($0)" == text }) else {
            throw invalid(
                "unknown kind \"\(text)\" in match", key: "kind",
                help: "one of " + MessageKind.allCases.map { "\($0)" }.joined(separator: ", "))
        }
        return kind
    }

    private func texts(_ value: LuaValue, key: String) throws(ShuntError) -> [String] {
        if let text = value.string { return [text] }
        let texts = value.list?.compactMap(\.string)
        guard let texts, texts.count == value.list?.count else {
            throw invalid("match.\(key) is a \(value.typeName)", key: key, help: "a text or a list of texts")
        }
        return texts
    }

    private func isFilter(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { shunt_filter_is_valid($0.baseAddress, $0.count) }
        }
    }

    // MARK: grants

    private func grants(_ value: LuaValue) throws(ShuntError) -> RuleDefinition.Grants {
        var grants = RuleDefinition.Grants()
        for (key, value) in try table(value, "grants", allowed: ["publish", "chat", "broadcast"]) {
            guard key != "broadcast" else {
                guard case .bool(let isGranted) = value else {
                    throw invalid("grants.broadcast is a \(value.typeName)", key: key, help: "true or false")
                }
                grants.broadcast = isGranted
                continue
            }
            guard let filters = value.string.map({ [$0] }) ?? value.list?.compactMap(\.string), filters.count == (value.list?.count ?? 1),
                filters.allSatisfy(isFilter)
            else { throw invalid("grants.\(key) is no list of topic filters", key: key, help: "{ \"audit/#\" }") }
            let all = filters.map { Array($0.utf8) }
            if key == "publish" { grants.publish = all } else { grants.chat = all }
        }
        return grants
    }

    // MARK: budget and breaker

    private mutating func budget(_ value: LuaValue, _ definition: inout RuleDefinition) throws(ShuntError) {
        for (key, value) in try table(value, "budget", allowed: ["time", "memory"]) {
            if key == "time" {
                let nanoseconds = UInt64(try duration(value, "budget.time") * 1e9)
                definition.nanoseconds = min(nanoseconds, limits.callNanosecondsCap)
                if nanoseconds > limits.callNanosecondsCap { capped(key, "\(Double(limits.callNanosecondsCap) / 1e6) ms") }
            } else {
                let memory = try bytes(value, "budget.memory")
                definition.memory = min(memory, limits.callMemoryCap)
                if memory > limits.callMemoryCap { capped(key, "\(limits.callMemoryCap / 1024) KiB") }
            }
        }
    }

    private mutating func capped(_ key: String, _ cap: String) {
        warnings.append(
            ShuntError(
                .ruleInvalid, "budget.\(key) is over rules.budget.\(key): \(cap) is what the rule gets", at: plugin.location(of: key),
                help: "raise that, or ask for less"))
    }

    private func breaker(_ value: LuaValue) throws(ShuntError) -> RuleDefinition.Breaker {
        var breaker = RuleDefinition.Breaker()
        for (key, value) in try table(value, "breaker", allowed: ["errors", "window", "retry"]) {
            switch key {
            case "errors":
                guard case .int(let errors) = value, errors >= 0, errors <= 1_000_000 else {
                    throw invalid("breaker.errors is \(shown(value))", key: key, help: "a whole number from 0 to 1000000")
                }
                breaker.errors = Int(errors)
            case "window": breaker.window = try duration(value, "breaker.window")
            default: breaker.retry = try duration(value, "breaker.retry")
            }
        }
        return breaker
    }

    private func table(_ value: LuaValue, _ name: String, allowed: [String]) throws(ShuntError) -> [(String, LuaValue)] {
        guard let table = value.table else { throw invalid("\(name) is a \(value.typeName)", key: name, help: "a table") }
        if let unknown = table.keys.sorted().first(where: { !allowed.contains($0) }) {
            throw invalid("unknown key \(unknown) in \(name)", key: unknown, help: Self.allowed(allowed, for: unknown))
        }
        return table.sorted { $0.key < $1.key }
    }

    private static func allowed(_ keys: [String], for key: String) -> String {
        (Suggestion.closest(to: key, in: keys).map { "did you mean \($0)? " } ?? "") + "allowed: " + keys.joined(separator: ", ")
    }

    private func duration(_ value: LuaValue, _ name: String) throws(ShuntError) -> Double {
        let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)]
        guard let seconds = quantity(value, units), seconds > 0, seconds <= 86400 else {
            throw invalid("\(name) is \(shown(value))", key: lastPart(name), help: "a time like \"2ms\" or \"10s\"")
        }
        return seconds
    }

    private func bytes(_ value: LuaValue, _ name: String) throws(ShuntError) -> Int {
        let units = [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("B", 1.0)]
        guard let bytes = quantity(value, units), bytes >= 1024, bytes <= 1e12 else {
            throw invalid("\(name) is \(shown(value))", key: lastPart(name), help: "a size like \"1MiB\", of at least 1KiB")
        }
        return Int(bytes)
    }

    private func quantity(_ value: LuaValue, _ units: [(String, Double)]) -> Double? {
        guard let text = value.string else { return nil }
        for (unit, factor) in units where text.hasSuffix(unit) {
            guard let number = Double(text.dropLast(unit.count)), number.isFinite else { continue }
            return number * factor
        }
        return nil
    }

    private func lastPart(_ name: String) -> String { name.split(separator: ".").last.map(String.init) ?? name }

    private func shown(_ value: LuaValue) -> String {
        switch value {
        case .string(let text): "\"\(text)\""
        case .int(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        default: "a \(value.typeName)"
        }
    }
}
