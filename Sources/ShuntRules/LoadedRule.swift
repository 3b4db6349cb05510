import CLuaHost
import ShuntCore

/// A rule in a state: made of a plugin, freed with this object.
final class LoadedRule {
    let pointer: OpaquePointer
    let plugin: RulePlugin
    let host: LuaHost
    let name: String
    /// Whether it may ask for sessions.
    let namesSessions: Bool
    /// Its last failures, and what it would have decided.
    var notes = RuleNotes()
    /// How often its breaker has switched it off.
    var trips: UInt64 = 0
    /// Who calls it, since it has begun to decide; nil once nobody looks at that any longer.
    var watch: RuleWatch?
    /// What earlier versions of the rule did.
    var earlier: RuleFigures?

    /// Runs the plugin's file. Nothing of it is called before `configure`.
    /// - Parameter name: the rule's, where it is known already; else the folder's.
    init(_ plugin: RulePlugin, name: String? = nil, in host: LuaHost) throws(ShuntError) {
        let loaded = plugin.withSources { sources in
            shunt_rule_load(host.pointer, name ?? plugin.name, plugin.name, sources.baseAddress, sources.count)
        }
        guard let loaded else { throw plugin.error(of: host) }
        pointer = loaded
        self.plugin = plugin
        self.host = host
        self.name = name ?? plugin.name
        namesSessions = plugin.namesSessions
        shunt_rule_set_names_sessions(loaded, namesSessions)
    }

    deinit { shunt_rule_free(host.pointer, pointer) }

    func has(_ hook: shunt_hook) -> Bool { shunt_rule_has(pointer, hook) }

    /// - Parameter hasLive: whether the next rule in the order is the one that it is compared with.
    func set(_ mode: RuleMode, hasLive: Bool) { shunt_rule_set_trial(pointer, mode == .shadow, hasLive) }

    /// Warns of hooks that are written with a colon.
    func methodWarnings() -> [ShuntError] {
        RuleHook.called.compactMap { hook in
            guard let place = hook.index, has(place), shunt_rule_takes_self(pointer, place) else { return nil }
            let name = hook.rawValue
            return ShuntError(
                .ruleInvalid, "\(name) has a parameter self, which gets what should be the next one", at: plugin.location(of: name),
                help: "function R.\(name)(…), with a dot")
        }
    }

    /// What rule.lua returned.
    func table() throws(ShuntError) -> [String: LuaValue] {
        let description = try value { shunt_rule_describe(host.pointer, pointer, $0) }
        guard let table = description.table ?? description.list.map({ _ in [:] }) else {
            throw ShuntError(
                .ruleInvalid, "the rule's table is a list", at: plugin.directory + "/rule.lua", help: "return R, with hooks in it")
        }
        return table
    }

    func match() throws(ShuntError) -> LuaValue {
        try value { shunt_rule_match(host.pointer, pointer, $0) }
    }

    func configure(_ definition: RuleDefinition, settings: SettingValue) throws(ShuntError) {
        let configured = LuaValue(settings).encoded.withUnsafeBytes { bytes in
            shunt_rule_configure(host.pointer, pointer, shunt_bytes(bytes), definition.policy())
        }
        if !configured { throw plugin.error(of: host) }
    }

    /// `on_load(settings, saved)`.
    func start(after before: LoadedRule?, now: Double) throws(ShuntError) {
        if !shunt_rule_start(host.pointer, pointer, before?.pointer, now) { throw plugin.error(of: host) }
    }

    /// `on_unload()`.
    func stop(now: Double) throws(ShuntError) {
        if !shunt_rule_stop(host.pointer, pointer, now) { throw plugin.error(of: host) }
    }

    private func value(_ body: (UnsafeMutablePointer<shunt_buffer>) -> Bool) throws(ShuntError) -> LuaValue {
        var buffer = shunt_buffer()
        buffer.limit = 1 << 20
        defer { shunt_buffer_free(&buffer) }
        guard body(&buffer) else { throw plugin.error(of: host) }
        guard !buffer.full, let value = LuaValue(encoded: Bytes(start: buffer.bytes, count: buffer.count)) else {
            throw ShuntError(.ruleInvalid, "the rule's table is too large", at: plugin.directory + "/rule.lua")
        }
        return value
    }
}

extension RulePlugin {
    /// The host's last error, where it was.
    func error(of host: LuaHost) -> ShuntError {
        let (location, text) = located(host.error)
        let code: ErrorCode = host.errorCode == .ruleFailed ? .ruleInvalid : host.errorCode
        return ShuntError(code, text, at: location)
    }

    /// Runs with the sources as C strings and bytes.
    func withSources<R>(_ files: [Source]? = nil, _ body: (UnsafeBufferPointer<shunt_source>) -> R) -> R {
        let files = files ?? sources
        var paths: [UnsafeMutablePointer<CChar>] = []
        var list: [shunt_source] = []
        defer { paths.forEach { $0.deallocate() } }
        // Arrays keep their bytes where they are while `files` lives.
        return withExtendedLifetime(files) {
            for file in files {
                let count = file.path.utf8.count + 1
                let path = UnsafeMutablePointer<CChar>.allocate(capacity: count)
                file.path.withCString { path.initialize(from: $0, count: count) }
                paths.append(path)
            }
            return withTexts(of: files, from: 0, paths, &list, body)
        }
    }

    private func withTexts<R>(
        of files: [Source], from index: Int, _ paths: [UnsafeMutablePointer<CChar>], _ list: inout [shunt_source],
        _ body: (UnsafeBufferPointer<shunt_source>) -> R
    ) -> R {
        guard index < files.count else { return list.withUnsafeBufferPointer(body) }
        return files[index].text.withUnsafeBytes { text in
            list.append(shunt_source(path: paths[index], text: shunt_bytes(text)))
            return withTexts(of: files, from: index + 1, paths, &list, body)
        }
    }
}
