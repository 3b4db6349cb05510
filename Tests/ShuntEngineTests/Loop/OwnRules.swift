import ShuntCore
import ShuntEngine

/// Rules in Swift that say something in the hooks which are about no message, or choose; each as a closure.
final class OwnRules: RuleHooks {
    /// A message that a rule makes.
    struct Made {
        var topic: String
        var text = "made"
        /// Seconds after which it goes out.
        var delay: Double?
        var kind = MessageKind.topic
        var rule: UInt8 = 0
        var filter = ""
    }

    var wanted: RuleHookSet
    /// What is sent in the hook that is called next.
    var sends: [Made] = []
    var terms = ClientTerms()
    var register = RegisterOutcome.accept
    var select: ((_ group: String, [GroupMember]) -> Int?)?
    var will: MessageOutcome.Verdict = .pass
    var isFinal = false
    /// What becomes of a message, by its topic; others meet no rule.
    var script: [String: [Made]] = [:]
    var granted: [String] = []
    var names = ["first", "second"]
    /// Whether the first is a version that runs beside the second.
    var isBeside = false
    private(set) var told: [String] = []
    /// Is called in a hook.
    var onTold: ((String) -> Void)?
    var room = (messages: 0, bytes: 0)
    private(set) var beyondHops = 0
    private(set) var denied: [String] = []
    /// Is called with each message and each broadcast.
    var failing: ((MessageView) -> Void)?
    private var bytes: [UnsafeMutableRawBufferPointer] = []
    private var made: [RoutedMessage] = []

    init(_ wanted: RuleHookSet = []) { self.wanted = wanted }
    deinit { for bytes in bytes { bytes.deallocate() } }

    private func list(_ messages: [Made]) {
        made = messages.map { message in
            var routed = RoutedMessage(
                kind: message.kind, changes: message.delay == nil ? [.topic, .payload] : [.topic, .payload, .delayed], topic: hold(message.topic),
                key: nil, payload: hold(message.text), format: .text, compression: .none, rule: message.rule)
            routed.delay = UInt32((message.delay ?? 0) * 1000)
            routed.filter = hold(message.filter)
            return routed
        }
    }

    private func hold(_ text: String) -> Bytes {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        copy.copyBytes(from: text.utf8)
        bytes.append(copy)
        return Bytes(copy)
    }

    /// The hook sends what is to be sent next.
    private func hook(_ what: String) {
        told.append(what)
        onTold?(what)
        list(sends)
        sends = []
    }

    var emitted: UnsafeBufferPointer<RoutedMessage> { made.withUnsafeBufferPointer { $0 } }

    func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection {
        let name = String(decoding: topic, as: UTF8.self)
        return RuleSelection(mask: script[name] != nil || select != nil ? 3 : 0)
    }

    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        let topic = String(decoding: message.topic, as: UTF8.self)
        told.append("\(topic) \(selection.mask) hops=\(message.hops)")
        calls += 1
        failing?(message)
        guard let messages = script[topic] else { return .pass }
        list(messages)
        return MessageOutcome(.send, messages: emitted, rule: 0)
    }

    func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome {
        hook("connect")
        return terms == ClientTerms() ? .accept : .acceptAs(uid: nil, tags: nil, alias: nil, terms: terms)
    }

    func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome {
        hook("subscribe")
        return .accept
    }

    func onDisconnect(_ peer: Peer, why: String, now: Double) { hook("disconnect \(peer.attributes.map(\.value))") }

    func onRegister(_ peer: Peer, now: Double) -> RegisterOutcome {
        hook("register \(peer.uid) \(peer.device) \(peer.tags)")
        return register
    }

    func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int? { select?(group, members) }

    func onWill(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome {
        calls += 1
        hook("will \(peer.uid) \(peer.address.isEmpty ? "gone" : "here")")
        var outcome = MessageOutcome(will, messages: emitted, rule: 0)
        outcome.isFinal = isFinal
        return outcome
    }

    func onSession(_ event: SessionEvent, _ session: SessionView, now: Double) { hook("\(event.rawValue) \(session.clientID)") }

    func onAcked(_ message: MessageView, by peer: ConnectionID, now: Double) {
        told.append("acked \(String(decoding: message.topic, as: UTF8.self)) \(String(decoding: message.payload, as: UTF8.self)) \(message.qos)")
    }

    func onTick(now: Double, sent: () -> Void) {
        hook("tick")
        sent()
    }

    private struct Topics: RuleGrants {
        let topics: [String]
        func allow(_ action: AccessAction, _ subject: Bytes) -> Bool { topics.contains { subject.elementsEqual($0.utf8) } }
    }

    func grants(of rule: Int) -> (any RuleGrants)? { Topics(topics: granted) }
    func setDelayRoom(messages: Int, bytes: Int) { room = (messages, bytes) }
    func name(of rule: Int) -> String { names.indices.contains(rule) ? names[rule] : "" }
    func rule(named name: String) -> Int? { names.firstIndex(of: name) }
    func versions(of rule: Int) -> RuleSelection { RuleSelection(mask: isBeside && rule < 2 ? 3 : 1 << UInt64(rule)) }
    func exceededHops(rule: Int, message: MessageView, now: Double) { beyondHops += 1 }
    func denied(rule: Int, _ action: AccessAction, _ subject: Bytes, by place: String, now: Double) {
        denied.append("\(rule) \(action) \(String(decoding: subject, as: UTF8.self))\(place)")
    }

    /// What becomes of a broadcast; nil: it passes.
    var broadcast: [Made]?

    func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        failing?(push)
        guard let broadcast else { return .pass }
        list(broadcast)
        return MessageOutcome(.send, messages: emitted, rule: 0)
    }

    func onUndelivered(_ message: MessageView, why: String, now: Double) {
        let (topic, payload) = (String(decoding: message.topic, as: UTF8.self), String(decoding: message.payload, as: UTF8.self))
        undelivered.append("\(message.kind) \(topic) \(payload): \(why)")
    }

    /// What `on_undelivered` was told, where it is wanted.
    private(set) var undelivered: [String] = []

    func takeUndelivered() -> [String] {
        defer { undelivered = [] }
        return undelivered
    }

    /// After how many messages and wills others are to have their turn.
    var mostInTurn = Int.max
    private var calls = 0
    var takesLong: Bool { calls >= mostInTurn }
    func beginRead() { calls = 0 }

    func takeTold() -> [String] {
        defer { told = [] }
        return told
    }
}
