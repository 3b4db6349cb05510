import Foundation
import ShuntCore
import Synchronization
import Testing

@testable import ShuntRules

/// A fresh directory of plugins, removed at the end.
final class PluginFolder {
    let path: String

    init(_ files: [String: String]) throws {
        path = NSTemporaryDirectory() + "shunt-rules-" + UUID().uuidString
        for (file, text) in files {
            let url = URL(fileURLWithPath: path + "/" + file)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// What stands in the log instead of a text that repeats the payload.
let hiddenNotice = "(hidden: it repeats the payload)"
let hiddenUncompared = "(hidden: the payload is too large to tell whether it is repeated)"

/// Lines that rules log.
final class LogLines: Sendable {
    private let entries = Mutex<[RuleLogEntry]>([])
    func add(_ entry: RuleLogEntry) { entries.withLock { $0.append(entry) } }
    func removeAll() { entries.withLock { $0.removeAll() } }
    var all: [RuleLogEntry] { entries.withLock { $0 } }
    var texts: [String] { all.map(\.text) }
}

final class Clients: PeerDirectory {
    var known: [ConnectionID: Peer] = [:]
    var closed: [ConnectionID: String] = [:]
    var addresses: [ConnectionID: PeerAddress] = [:]
    func peer(_ id: ConnectionID) -> Peer? { known[id] }
    func address(of id: ConnectionID) -> PeerAddress? { addresses[id] }
    func close(_ id: ConnectionID, why: String, by rule: String) { closed[id] = why }
    /// Messages that rules have failed on.
    var failed: [String] = []
    func failed(_ rule: String, _ code: ErrorCode, on message: MessageView) {
        let (topic, payload) = (String(decoding: message.topic, as: UTF8.self), String(decoding: message.payload, as: UTF8.self))
        failed.append("\(rule) \(code.rawValue) \(topic) \(payload)")
    }

    static func peer(uid: String = "u1", tags: [String] = [], alias: [String] = []) -> Peer {
        Peer(
            id: ConnectionID(loop: 0, slot: 3, generation: 1), uid: uid, device: "d1", tags: tags, alias: alias,
            protocolName: "exchange", address: "127.0.0.1:5000", groups: ["g"], connectedAt: 1000)
    }
}

extension ConnectionID {
    /// One of many clients.
    static func client(_ number: Int) -> ConnectionID { ConnectionID(loop: 1, slot: UInt32(number), generation: 1) }
}

/// A message that rules made, kept.
struct Sent: Equatable {
    var kind = MessageKind.topic
    var topic = ""
    var key: String?
    var payload = ""
    var format = PayloadFormat.json
    var compression = PayloadCompression.none
    var filter = ""
    var changes: RoutedMessage.Changes = []
    var rule = 0
    var qos = QoS.atLeastOnce
    var isRetained = false
    var properties: [UInt8] = []

    init(_ message: RoutedMessage) {
        kind = message.kind
        topic = String(decoding: message.topic, as: UTF8.self)
        key = message.key.map { String(decoding: $0, as: UTF8.self) }
        payload = String(decoding: message.payload, as: UTF8.self)
        format = message.format
        compression = message.compression
        filter = String(decoding: message.filter, as: UTF8.self)
        changes = message.changes
        rule = Int(message.rule)
        (qos, isRetained, properties) = (message.qos, message.isRetained, Array(message.properties))
    }
}

struct Outcome {
    /// A verdict and its reason, kept.
    enum Verdict: Equatable {
        case pass, send, drop(why: String), reject(why: String), redirect(to: String)
    }

    var verdict: Verdict
    var messages: [Sent]
    var rule: Int?
    var isStanding: Bool
    var passing: RuleSelection

    init(_ outcome: MessageOutcome) {
        verdict =
            switch outcome.verdict {
            case .pass: .pass
            case .send: .send
            case .drop: .drop(why: outcome.reason)
            case .reject: .reject(why: outcome.reason)
            case .redirect: .redirect(to: outcome.reason)
            }
        messages = outcome.messages.map(Sent.init)
        rule = outcome.rule.map(Int.init)
        isStanding = outcome.isStanding
        passing = outcome.passing
    }
}

/// A loop's rules, from Lua text.
struct RuleRig {
    let folder: PluginFolder
    let rules: LoopRules
    let clients = Clients()
    let log: LogLines

    /// One rule, whose text is put into a rule file around `R`.
    init(_ body: String, limits: RuleLimits = .ample, settings: SettingValue = .object([:])) throws {
        try self.init(
            files: ["rule/rule.lua": "local R = {}\n" + body + "\nreturn R\n"], limits: limits, settings: ["rule": settings])
    }

    init(
        files: [String: String], limits: RuleLimits = .ample, settings: [String: SettingValue] = [:],
        shared: SharedStore? = nil, inflate: @escaping PayloadInflater = { _, _, _, _ in [] }
    ) throws {
        folder = try PluginFolder(files)
        let log = LogLines()
        self.log = log
        let set = try RuleSet.load(directory: folder.path, settings: settings, limits: limits)
        rules = try LoopRules(
            set: set, worker: "w1", loop: 2, limits: limits, shared: try shared ?? SharedStore(), log: { log.add($0) },
            inflate: inflate, now: 1000)
        rules.peers = clients
        let peer = Clients.peer()
        clients.known[peer.id] = peer
    }

    @discardableResult
    func send(
        _ topic: String = "a/b", _ payload: String = "{}", key: String? = nil, format: PayloadFormat = .json,
        compression: PayloadCompression = .none, from sender: ConnectionID = Clients.peer().id, now: Double = 1000,
        room: Int = .max, qos: QoS = .atLeastOnce, isRetained: Bool = false, properties: [UInt8] = []
    ) -> Outcome {
        withBytes(topic) { topic in
            withBytes(payload) { payload in
                withBytes(key ?? "") { keyBytes in
                    var message = MessageView(
                        kind: .topic, topic: topic, key: key == nil ? nil : keyBytes, payload: payload, format: format,
                        compression: compression, id: 7, hops: 1, sender: sender, room: room)
                    (message.qos, message.isRetained) = (qos, isRetained)
                    return properties.withUnsafeBytes {
                        message.properties = $0
                        return Outcome(rules.onMessage(message, selection: rules.selection(for: .topic, topic: topic), now: now))
                    }
                }
            }
        }
    }

    /// What a hook of the three that route messages decides.
    func route(
        _ kind: MessageKind, _ topic: String = "", _ payload: String, filter: String = "{}", members: [ChatView.Member] = [],
        now: Double = 1000
    ) -> Outcome {
        withMessage(kind, topic, payload) { message in
            let outcome =
                switch kind {
                case .topic: rules.onMessage(message, selection: rules.selection(for: .topic, topic: message.topic), now: now)
                case .broadcast: withBytes(filter) { rules.onBroadcast(message, filter: $0, now: now) }
                case .chat: rules.onChat(message, in: ChatView(id: topic, members: members, createdAt: 500), now: now)
                }
            return Outcome(outcome)
        }
    }

    enum Delivered: Equatable {
        case deliver
        case replace(Sent)
        case drop(String)
    }

    func deliver(_ topic: String = "a/b", _ payload: String = "{}", to peer: Peer = Clients.peer(), now: Double = 1000) -> Delivered {
        clients.known[peer.id] = peer
        return withMessage(.topic, topic, payload) { message in
            switch rules.onDeliver(message, filter: Bytes(start: nil, count: 0), to: peer.id, now: now) {
            case .deliver: .deliver
            case .replace(let changed): .replace(Sent(changed))
            case .drop(let why): .drop(why)
            }
        }
    }

    func withMessage<R>(_ kind: MessageKind, _ topic: String, _ payload: String, _ body: (MessageView) -> R) -> R {
        withBytes(topic) { topic in
            withBytes(payload) { payload in
                body(MessageView(kind: kind, topic: topic, key: nil, payload: payload, format: .text, id: 7, sender: Clients.peer().id))
            }
        }
    }

    /// What `on_message` logs while it runs `body`: a way to ask Lua something.
    static func ask(_ body: String, limits: RuleLimits = .ample) throws -> [String] {
        let rig = try RuleRig("function R.on_message(msg, ctx)\n" + body + "\nend", limits: limits)
        rig.send()
        return rig.log.texts
    }

    func figures(_ hook: String = "on_message", rule: Int = 0) -> RuleFigures.Hook {
        rules.figures()[rule].hooks[hook] ?? RuleFigures.Hook()
    }
}

func withBytes<R>(_ text: String, _ body: (Bytes) -> R) -> R {
    Array(text.utf8).withUnsafeBytes(body)
}

extension RuleLimits {
    /// For rules that do nothing wrong: a busy machine does not end their calls.
    static var ample: RuleLimits {
        var limits = RuleLimits()
        limits.callNanoseconds = 50_000_000
        return limits
    }
}
