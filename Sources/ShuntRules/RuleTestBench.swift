import CLuaHost
import ShuntCore
import Synchronization

/// The rule under test, in a loop of its own: what a test asks of it, as values.
final class RuleTestBench {
    private let plugin: RulePlugin
    private let limits: RuleLimits
    private var rules: LoopRules?
    private var settings = SettingValue.object([:])
    private let clients = TestClients()
    private let lines = TestLines()
    /// Seconds since 1970; moved on by `t:advance`.
    private(set) var now = 1_700_000_000.0

    init(plugin: RulePlugin, limits: RuleLimits) {
        self.plugin = plugin
        self.limits = limits
    }

    func perform(_ name: String, _ arguments: LuaValue) throws(ShuntError) -> LuaValue {
        switch name {
        case "message": return try message(arguments)
        case "connect": return try connect(arguments)
        case "subscribe": return try subscribe(arguments)
        case "disconnect":
            try loaded().onDisconnect(clients.client(arguments), why: arguments["why"].string ?? "closed", now: now)
            return .object(observed())
        case "advance":
            guard let seconds = arguments["seconds"].number, seconds >= 0 else {
                throw ShuntError(.ruleInvalid, "t:advance takes seconds, 0 or more")
            }
            now += seconds
            return .object([:])
        case "settings": return change(arguments["settings"])
        default: throw ShuntError(.ruleInvalid, "t has no \(name)")
        }
    }

    private func loaded() throws(ShuntError) -> LoopRules {
        lines.clear()
        clients.closed = nil
        if let rules { return rules }
        let set = try RuleSet(plugins: [plugin], settings: [plugin.name: settings], limits: limits, now: now)
        let lines = lines
        let rules = try LoopRules(
            set: set, worker: "test", loop: 0, limits: limits, shared: try SharedStore(limits: limits), log: { lines.add($0) },
            inflate: { _, _ in nil }, now: now)
        rules.peers = clients
        self.rules = rules
        return rules
    }

    private func change(_ settings: LuaValue) -> LuaValue {
        self.settings = SettingValue(settings)
        rules = nil
        do throws(ShuntError) {
            _ = try loaded()
            return .object([:])
        } catch {
            return .object(["error": .string(error.message)])
        }
    }

    // MARK: what is asked

    private static let messageFields: Set = ["topic", "payload", "key", "format", "kind", "sender", "hops", "id"]

    private func message(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        guard let fields = asked.table else { throw ShuntError(.ruleInvalid, "t:message takes a table") }
        if let unknown = fields.keys.sorted().first(where: { !Self.messageFields.contains($0) }) {
            let known = Self.messageFields.sorted().joined(separator: ", ")
            throw ShuntError(.ruleInvalid, "t:message does not take \(unknown)", help: "it takes " + known)
        }
        let rules = try loaded()
        let sender = clients.client(asked["sender"])
        let topic = Array((asked["topic"].string ?? "test").utf8)
        let payload = Array((asked["payload"].string ?? "").utf8)
        let key = asked["key"].string.map { Array($0.utf8) }
        let format = PayloadFormat.allCases.first { "\($0)" == asked["format"].string } ?? .text
        let kind = MessageKind.allCases.first { "\($0)" == asked["kind"].string } ?? .topic
        return topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                (key ?? []).withUnsafeBytes { keyBytes in
                    let message = MessageView(
                        kind: kind, topic: topic, key: key == nil ? nil : keyBytes, payload: payload, format: format,
                        id: Int64(asked["id"].number ?? 1), hops: UInt8(clamping: Int(asked["hops"].number ?? 0)), sender: sender.id)
                    let selection = rules.selection(for: kind, topic: topic)
                    guard !selection.isEmpty else { return described(MessageOutcome(.pass), message, decision: "unmatched") }
                    let outcome = rules.onMessage(message, selection: selection, now: now)
                    return described(outcome, message, decision: Self.decisions[Int(rules.decision.rawValue)])
                }
            }
        }
    }

    private static let decisions = ["pass", "replace", "route", "fanout", "push", "chat", "drop", "reject", "done", "redirect"]

    private func described(_ outcome: MessageOutcome, _ message: MessageView, decision: String) -> LuaValue {
        var out = observed()
        var sent = outcome.messages.map(Self.described)
        switch outcome.verdict {
        case .drop(let why):
            out["verdict"] = "drop"
            out["why"] = .string(why)
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        case .pass, .send:
            out["verdict"] = .string(decision)
            if outcome.verdict == .pass { sent.insert(Self.described(message), at: 0) }
        }
        out.merge(sent.first ?? [:]) { own, _ in own }
        out["messages"] = .array(sent.map(LuaValue.object))
        return .object(out)
    }

    private static func described(_ message: RoutedMessage) -> [String: LuaValue] {
        var fields = described(message.kind, message.topic, message.key, message.payload, message.format)
        if message.kind == .broadcast { fields["filter"] = .string(String(decoding: message.filter, as: UTF8.self)) }
        return fields
    }

    private static func described(_ message: MessageView) -> [String: LuaValue] {
        described(message.kind, message.topic, message.key, message.payload, message.format)
    }

    private static func described(
        _ kind: MessageKind, _ topic: Bytes, _ key: Bytes?, _ payload: Bytes, _ format: PayloadFormat
    ) -> [String: LuaValue] {
        var fields: [String: LuaValue] = [
            "kind": .string("\(kind)"), "topic": .string(String(decoding: topic, as: UTF8.self)),
            "payload": .string(String(decoding: payload, as: UTF8.self)), "format": .string("\(format)"),
        ]
        if let key { fields["key"] = .string(String(decoding: key, as: UTF8.self)) }
        return fields
    }

    private func connect(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let client = clients.client(asked)
        let outcome = try loaded().onConnect(client, now: now)
        var out = observed()
        out["uid"] = .string(client.uid)
        out["tags"] = .array(client.tags.map(LuaValue.string))
        out["alias"] = .array(client.alias.map(LuaValue.string))
        switch outcome {
        case .accept: out["verdict"] = "accept"
        case .acceptAs(let uid, let tags, let alias):
            out["verdict"] = "replace"
            if let uid { out["uid"] = .string(uid) }
            if let tags { out["tags"] = .array(tags.map(LuaValue.string)) }
            if let alias { out["alias"] = .array(alias.map(LuaValue.string)) }
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        case .redirect(let worker):
            out["verdict"] = "redirect"
            out["worker"] = .string(worker)
        }
        return .object(out)
    }

    private func subscribe(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        var request = SubscriptionRequest(
            topic: asked["topic"].string ?? "test", group: asked["group"].string ?? "group", key: asked["key"].string)
        let client = clients.client(asked["sender"])
        let outcome = try loaded().onSubscribe(request, from: client.id, now: now)
        var out = observed()
        switch outcome {
        case .accept: out["verdict"] = "accept"
        case .acceptAs(let changed):
            out["verdict"] = "replace"
            request = changed
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        }
        out["topic"] = .string(request.topic)
        out["group"] = .string(request.group)
        return .object(out)
    }

    /// What happened besides: what was logged, what failed, who was closed.
    private func observed() -> [String: LuaValue] {
        let entries = lines.all
        var out: [String: LuaValue] = ["logs": .array(entries.map { .string($0.text) })]
        if let error = entries.first(where: { $0.level == .error }) { out["error"] = .string(error.text) }
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
            case .array(let values): .array(values.map(SettingValue.init))
            case .object(let values): .object(values.mapValues(SettingValue.init))
            }
    }
}

/// The clients of a test: one for each uid, with what the test says of it.
private final class TestClients: PeerDirectory {
    private var ids: [String: ConnectionID] = [:]
    private var clients: [ConnectionID: Peer] = [:]
    var closed: String?

    func client(_ asked: LuaValue) -> Peer {
        let uid = asked["uid"].string ?? ""
        let device = asked["device"].string ?? uid
        let name = uid + "\u{0}" + device
        let id = ids[name] ?? ConnectionID(loop: 0, slot: UInt32(ids.count), generation: 1)
        ids[name] = id
        func texts(_ key: String) -> [String] { (asked[key].list ?? []).compactMap(\.string) }
        let client = Peer(
            id: id, uid: uid, device: device, tags: texts("tags"), alias: texts("alias"),
            protocolName: asked["protocol"].string ?? "exchange", address: asked["address"].string ?? "127.0.0.1:50000",
            groups: texts("groups"), connectedAt: 1_700_000_000)
        clients[id] = client
        return client
    }

    func peer(_ id: ConnectionID) -> Peer? { clients[id] }
    func close(_ id: ConnectionID, why: String) { closed = why }
}

private final class TestLines: Sendable {
    private let entries = Mutex<[RuleLogEntry]>([])
    func add(_ entry: RuleLogEntry) { entries.withLock { $0.append(entry) } }
    func clear() { entries.withLock { $0.removeAll() } }
    var all: [RuleLogEntry] { entries.withLock { $0 } }
}
