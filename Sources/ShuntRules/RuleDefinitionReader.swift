import CLuaHost
import ShuntCore

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
        try Self.each(table.sorted { $0.key < $1.key }) { (key, value) throws(ShuntError) in try read(key, value, &definition) }
        if definition.hooks.isEmpty {
            warnings.append(ShuntError(.ruleInvalid, "the rule has no hook that this version calls", at: plugin.location(of: "")))
        }
        return definition
    }

    private mutating func read(_ key: String, _ value: LuaValue, _ definition: inout RuleDefinition) throws(ShuntError) {
        switch key {
        case "name": definition.name = try name(value)
        case "priority":
            guard case .int(let priority) = value else {
                throw invalid("priority is a \(value.typeName)", key: key, help: "a whole number; higher runs first")
            }
            definition.priority = Int(priority)
        case "match":
            if case .function = value { return }
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

    /// Reads every entry, and tells of all that is wrong.
    private static func each(
        _ entries: [(key: String, value: LuaValue)], _ read: (String, LuaValue) throws(ShuntError) -> Void
    ) throws(ShuntError) {
        var errors: [ShuntError] = []
        for (key, value) in entries {
            do throws(ShuntError) { try read(key, value) } catch { errors += error.all }
        }
        if let error = ShuntError(all: errors) { throw error }
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
        try Self.each(table.sorted { $0.key < $1.key }) { (key, value) throws(ShuntError) in
            switch key {
            case "kind": match.kinds = Set(try texts(value, key: key).map { (kind) throws(ShuntError) in try self.kind(kind) })
            case "topic":
                let filters = try texts(value, key: key)
                for filter in filters where !isFilter(filter) {
                    throw invalid(
                        "match.topic is no topic filter: \"\(filter)\"", key: "match.topic",
                        help: "+ and # stand alone between slashes, # comes last")
                }
                match.filters = filters
            default: throw invalid("unknown key \(key) in match", key: "match.\(key)", help: Self.allowed(["kind", "topic"], for: key))
            }
        }
        return match
    }

    private func kind(_ text: String) throws(ShuntError) -> MessageKind {
        guard let kind = MessageKind.allCases.first(where: { "\($0)" == text }) else {
            throw invalid(
                "unknown kind \"\(text)\" in match", key: "match.kind",
                help: "one of " + MessageKind.allCases.map { "\($0)" }.joined(separator: ", "))
        }
        return kind
    }

    private func texts(_ value: LuaValue, key: String) throws(ShuntError) -> [String] {
        if let text = value.string { return [text] }
        if value.list?.isEmpty ?? value.table?.isEmpty ?? false {
            throw invalid("match.\(key) is an empty list, which takes nothing", key: "match.\(key)", help: "leave it out, and it takes everything")
        }
        let texts = value.list?.compactMap(\.string)
        guard let texts, texts.count == value.list?.count else {
            throw invalid("match.\(key) is a \(value.typeName)", key: "match.\(key)", help: "a text or a list of texts")
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
        try each(value, "grants", allowed: ["publish", "chat", "broadcast"]) { (key, value) throws(ShuntError) in
            guard key != "broadcast" else {
                guard case .bool(let isGranted) = value else {
                    throw invalid("grants.broadcast is a \(value.typeName)", key: "grants.broadcast", help: "true or false")
                }
                grants.broadcast = isGranted
                return
            }
            guard let filters = value.string.map({ [$0] }) ?? value.list?.compactMap(\.string), filters.count == (value.list?.count ?? 1),
                filters.allSatisfy(isFilter)
            else { throw invalid("grants.\(key) is no list of topic filters", key: "grants.\(key)", help: "{ \"audit/#\" }") }
            let all = filters.map { Array($0.utf8) }
            if key == "publish" { grants.publish = all } else { grants.chat = all }
        }
        return grants
    }

    // MARK: budget and breaker

    private mutating func budget(_ value: LuaValue, _ definition: inout RuleDefinition) throws(ShuntError) {
        var caps: [(key: String, cap: String)] = []
        try each(value, "budget", allowed: ["time", "memory"]) { (key, value) throws(ShuntError) in
            if key == "time" {
                let nanoseconds = UInt64(try duration(value, "budget.time") * 1e9)
                definition.nanoseconds = min(nanoseconds, limits.callNanosecondsCap)
                if nanoseconds > limits.callNanosecondsCap { caps.append((key, "\(Double(limits.callNanosecondsCap) / 1e6) ms")) }
            } else {
                let memory = try bytes(value, "budget.memory")
                definition.memory = min(memory, limits.callMemoryCap)
                if memory > limits.callMemoryCap { caps.append((key, "\(limits.callMemoryCap / 1024) KiB")) }
            }
        }
        for (key, cap) in caps { capped(key, cap) }
    }

    private mutating func capped(_ key: String, _ cap: String) {
        warnings.append(
            ShuntError(
                .ruleInvalid, "budget.\(key) is over rules.budget.\(key): \(cap) is what the rule gets", at: plugin.location(of: "budget.\(key)"),
                help: "raise that, or ask for less"))
    }

    private func breaker(_ value: LuaValue) throws(ShuntError) -> RuleDefinition.Breaker {
        var breaker = RuleDefinition.Breaker()
        try each(value, "breaker", allowed: ["errors", "window", "retry"]) { (key, value) throws(ShuntError) in
            switch key {
            case "errors":
                guard case .int(let errors) = value, errors >= 0, errors <= 1_000_000 else {
                    throw invalid("breaker.errors is \(shown(value))", key: "breaker.errors", help: "a whole number from 0 to 1000000")
                }
                breaker.errors = Int(errors)
            case "window": breaker.window = try duration(value, "breaker.window")
            default: breaker.retry = try duration(value, "breaker.retry")
            }
        }
        return breaker
    }

    /// The entries of a table that has no keys but these.
    private func each(
        _ value: LuaValue, _ name: String, allowed: [String], _ read: (String, LuaValue) throws(ShuntError) -> Void
    ) throws(ShuntError) {
        guard let table = value.table else { throw invalid("\(name) is a \(value.typeName)", key: name, help: "a table") }
        try Self.each(table.sorted { $0.key < $1.key }) { (key, value) throws(ShuntError) in
            guard allowed.contains(key) else {
                throw invalid("unknown key \(key) in \(name)", key: "\(name).\(key)", help: Self.allowed(allowed, for: key))
            }
            try read(key, value)
        }
    }

    private static func allowed(_ keys: [String], for key: String) -> String {
        (Suggestion.closest(to: key, in: keys).map { "did you mean \($0)? " } ?? "") + "allowed: " + keys.joined(separator: ", ")
    }

    private func duration(_ value: LuaValue, _ name: String) throws(ShuntError) -> Double {
        let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)]
        guard let seconds = quantity(value, units), seconds > 0, seconds <= 86400 else {
            throw invalid("\(name) is \(shown(value))", key: name, help: "a time like \"2ms\" or \"10s\"")
        }
        return seconds
    }

    private func bytes(_ value: LuaValue, _ name: String) throws(ShuntError) -> Int {
        let units = [("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0), ("B", 1.0)]
        guard let bytes = quantity(value, units), bytes >= 1024, bytes <= 1e12 else {
            throw invalid("\(name) is \(shown(value))", key: name, help: "a size like \"1MiB\", of at least 1KiB")
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
