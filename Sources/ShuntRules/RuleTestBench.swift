import CLuaHost
import ShuntCore
import Synchronization

/// The rule under test, in a loop of its own: what a test asks of it, as values.
final class RuleTestBench {
    private let plugin: RulePlugin
    private var limits: RuleLimits
    private var rules: LoopRules?
    /// nil: the test has given none.
    private var settings: SettingValue?
    let clients = TestClients()
    /// What the test says that look-ups find.
    let lookups = TestLookups()
    /// The same of sessions.
    var sessions = SessionDirectory()
    private let lines = TestLines()
    /// Seconds since 1970; moved on by `t:advance`.
    private(set) var now = 1_700_000_000.0

    init(plugin: RulePlugin, limits: RuleLimits) {
        self.plugin = plugin
        self.limits = limits
        self.limits.failuresPerSecond = .max
        // What a test promises must not depend on who else uses the machine.
        self.limits.callNanoseconds *= 10
    }

    func perform(_ name: String, _ arguments: LuaValue) throws(ShuntError) -> LuaValue {
        switch name {
        case "message": return try message(arguments)
        case "broadcast": return try broadcast(arguments)
        case "chat": return try chat(arguments)
        case "deliver": return try deliver(arguments)
        case "undelivered": return try undelivered(arguments)
        case "will": return try will(arguments)
        case "acked": return try acked(arguments)
        case "select": return try select(arguments)
        case "session": return try session(arguments)
        case "register": return try register(arguments)
        case "connect": return try connect(arguments)
        case "subscribe": return try subscribe(arguments)
        case "unsubscribe": return try unsubscribe(arguments)
        case "disconnect": return try disconnect(arguments)
        case "chat_open": return try chatEntry(SHUNT_ON_CHAT_OPEN, arguments)
        case "chat_join": return try chatEntry(SHUNT_ON_CHAT_JOIN, arguments)
        case "chat_close": return try chatClose(arguments)
        case "auth": return try authenticate(arguments)
        case "http": return try answerHTTP(arguments)
        case "resolve": return try answerName(arguments)
        case "sessions": return try setSessions(arguments)
        case "advance":
            guard let seconds = arguments["seconds"].number, seconds >= 0 else {
                throw ShuntError(.ruleInvalid, "t:advance takes seconds, 0 or more")
            }
            return try advance(seconds)
        case "settings":
            guard arguments["settings"].table != nil || arguments["settings"].list != nil || arguments["settings"] == .null else {
                throw ShuntError(.ruleInvalid, "t:settings takes a table")
            }
            return change(arguments["settings"])
        case "unknown": throw unknown(arguments)
        default: throw ShuntError(.ruleInvalid, "t has no \(name)")
        }
    }

    /// What a test looks for where it is not.
    private func unknown(_ asked: LuaValue) -> ShuntError {
        let (what, name) = (asked["what"].string ?? "", asked["name"].bytes ?? [])
        let shown = String(decoding: name, as: UTF8.self)
        let known = (asked["known"].list ?? []).compactMap(\.string)
        return ShuntError(.ruleInvalid, "\(what) has no \(shown)", help: TestField.advice(instead: shown, "it has", known))
    }

    /// Lets time pass. `on_tick` is called as often as it is due, at the times when it is.
    func advance(_ seconds: Double) throws(ShuntError) -> LuaValue {
        let end = now + seconds
        let rules = try loaded()
        var sent: [LuaValue] = []
        for _ in 0..<Self.mostTicks where rules.nextTick <= end {
            now = max(now, rules.nextTick)
            rules.onTick(now: now) { sent += rules.emitted.map { .object(TestMessage.described($0)) } }
            guard sent.count <= Self.mostTicks else {
                throw ShuntError(.ruleInvalid, "on_tick sends more than \(Self.mostTicks) messages in one t:advance", help: "advance less")
            }
        }
        guard rules.nextTick > end else {
            throw ShuntError(.ruleInvalid, "t:advance would call on_tick more than \(Self.mostTicks) times", help: "advance less, or raise tick")
        }
        now = end
        var out = observed()
        out["messages"] = .array(sent)
        return .object(out)
    }

    /// Of one `t:advance`.
    private static let mostTicks = 10_000

    /// The rule's loop as `loaded` gave it.
    var current: LoopRules? { rules }

    func loaded() throws(ShuntError) -> LoopRules {
        lines.clear()
        clients.closed = nil
        rules?.failure = nil
        if let rules { return rules }
        // A test is about what the rule decides, on trial or not.
        let checked = try checked()
        let set = RuleSet(rules: checked.rules.map(\.deciding), warnings: checked.warnings)
        let lines = lines
        var limits = limits
        limits.logsPayloads = true
        let rules = try LoopRules(
            set: set, worker: "test", loop: 0, limits: limits, shared: try SharedStore(limits: limits), log: { lines.add($0) },
            inflate: { _, _, _, _ in [] }, now: now)
        rules.peers = clients
        rules.setDelayRoom(messages: Self.mostTicks, bytes: 16 << 20)
        rules.lookups = lookups
        rules.sessions = sessions
        self.rules = rules
        return rules
    }

    private func checked() throws(ShuntError) -> RuleSet {
        do throws(ShuntError) {
            return try RuleSet(plugins: [plugin], settings: [plugin.name: settings ?? .object([:])], limits: limits, now: now)
        } catch {
            var error = error
            // The message names the setting.
            guard error.location?.hasPrefix("rules.settings.") == true else { throw error }
            error.location = nil
            if settings == nil { error.help = (error.help.map { $0 + "; " } ?? "") + "a test gives the settings by t:settings{…}" }
            throw error
        }
    }

    private func change(_ settings: LuaValue) -> LuaValue {
        self.settings = SettingValue(settings)
        rules = nil
        do throws(ShuntError) {
            _ = try loaded()
            return .object([:])
        } catch {
            let all = error.all.map { $0.message + ($0.help.map { "; \($0)" } ?? "") }
            return .object(["error": .string(all.joined(separator: "\n"))])
        }
    }

    /// The table that was given to a function of `t`, with no keys but these.
    func fields(_ asked: LuaValue, of name: String, _ known: [String: TestField]...) throws(ShuntError) -> [String: LuaValue] {
        var all: [String: TestField] = [:]
        for some in known { all.merge(some) { _, last in last } }
        return try TestField.check(asked, of: "t:" + name, all)
    }

    /// The same of a hook that is about no message, with what the rule has sent in it.
    func observedOwn() -> [String: LuaValue] {
        var out = observed()
        out["messages"] = .array((rules?.emitted ?? UnsafeBufferPointer(start: nil, count: 0)).map { .object(TestMessage.described($0)) })
        return out
    }

    /// What happened besides: what was logged, what failed, who was closed.
    func observed() -> [String: LuaValue] {
        let entries = lines.all
        var out: [String: LuaValue] = ["logs": .array(entries.map { .string($0.text) })]
        if let failure = rules?.failure { out["error"] = .string(failure) }
        if let closed = clients.closed { out["closed"] = .string(closed) }
        return out
    }
}

extension LuaValue: ExpressibleByStringLiteral {
    init(stringLiteral value: String) { self = .string(value) }
}

extension SettingValue {
    init(_ value: LuaValue) {
        self =
            switch value {
            case .null, .function, .other: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .bytes(let value): .string(String(decoding: value, as: UTF8.self))
            case .array(let values): .array(values.map(SettingValue.init))
            case .object(let values): .object(values.mapValues(SettingValue.init))
            }
    }
}

private final class TestLines: Sendable {
    private let entries = Mutex<[RuleLogEntry]>([])
    func add(_ entry: RuleLogEntry) { entries.withLock { $0.append(entry) } }
    func clear() { entries.withLock { $0.removeAll() } }
    var all: [RuleLogEntry] { entries.withLock { $0 } }
}
