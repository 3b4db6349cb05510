import ShuntCore
import ShuntEngine

/// Rules in Swift: what a test says, by topic.
final class ScriptedRules: RuleHooks {
    struct Made {
        var topic: String?
        var text: String?
        var rule: UInt8 = 0
        var kind = MessageKind.topic
        var filter = ""
        /// Seconds after which it goes out.
        var delay: Double?
    }

    enum Decision {
        case pass([Made] = []), send([Made]), drop, reject(String), redirect(String)
        /// For all messages of the topic: the same from rule `rule`, or passed by these.
        indirect case always(Decision, rule: UInt8), passing([Int])
    }

    /// What to do with a message, by topic; a topic that is not here meets no rule.
    var script: [String: Decision] = [:]
    /// The rules of a topic, by their places.
    var rulesOfTopic: [String: [Int]] = [:]
    var connect = ConnectOutcome.accept
    var subscribe = SubscribeOutcome.accept
    var wanted: RuleHookSet = []
    var broadcast = Decision.pass()
    var chat = Decision.pass()
    var chatOpen = ConnectOutcome.accept
    var chatJoin = ConnectOutcome.accept
    /// What a recipient's delivery becomes, by its connection: another text, or nothing.
    var deliveries: [ConnectionID: String] = [:]
    private(set) var undelivered: [String] = []
    private(set) var closedChats: [String] = []
    private(set) var seen: [String] = []
    private(set) var rooms: [Int] = []
    private(set) var turns = 0
    private(set) var decided = MessageOutcome.pass
    private(set) var beyondHops: [Int] = []
    /// Whether messages take so long that others are to have their turn.
    var takesLong = false
    private(set) var disconnected: [String] = []
    private var bytes: [UnsafeMutableRawBufferPointer] = []
    private var made: [RoutedMessage] = []

    private let written = UnsafeMutablePointer<MessageView>.allocate(capacity: 1)
    var message: UnsafeMutablePointer<MessageView>? { written }

    deinit {
        written.deallocate()
        for bytes in bytes { bytes.deallocate() }
    }

    func beginTurn() { turns += 1 }
    /// Whether rules may send more than the sender of a message may.
    var grantsAll = false

    private struct Everything: RuleGrants {
        func allow(_ action: AccessAction, _ subject: Bytes) -> Bool { true }
    }

    func grants(of rule: Int) -> (any RuleGrants)? { grantsAll ? Everything() : nil }

    func exceededHops(rule: Int, message: MessageView, now: Double) { beyondHops.append(rule) }

    func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection {
        let name = String(decoding: topic, as: UTF8.self)
        guard script[name] != nil else { return .none }
        var selection = RuleSelection.none
        for rule in rulesOfTopic[name] ?? [0] { selection.insert(rule) }
        return selection
    }

    /// As rules in Lua do: what passes has no outcome.
    func answer(selection: RuleSelection, now: Double) -> RuleAnswer {
        beginTurn()
        decided = onMessage(written.pointee, selection: selection, now: now)
        guard decided.isPlainPass else { return .decided }
        return takesLong ? .passesLate : .passes
    }

    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        let topic = String(decoding: message.topic, as: UTF8.self)
        seen.append("\(topic) hops=\(message.hops)")
        rooms.append(message.room)
        return outcome(script[topic] ?? .pass(), message)
    }

    func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        seen.append("\(String(decoding: push.payload, as: UTF8.self)) \(String(decoding: filter, as: UTF8.self))")
        return outcome(broadcast, push)
    }

    func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome {
        seen.append("\(chat.id) \(chat.members.map { "\($0.uid):\($0.isOnline)" }.sorted())")
        return outcome(self.chat, message)
    }

    func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { chatOpen }
    func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { chatJoin }
    func onChatClose(_ chat: ChatView, why: String, by closer: ConnectionID?, now: Double) {
        closedChats.append("\(chat.id) \(why) \(chat.members.map(\.uid))")
    }

    func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome {
        guard let text = deliveries[peer] else { return .deliver }
        guard !text.isEmpty else { return .drop(why: "told so") }
        return .replace(list([Made(text: text)], message)[0])
    }

    func onUndelivered(_ message: MessageView, why: String, now: Double) {
        undelivered.append(
            "\(message.kind) \(String(decoding: message.topic, as: UTF8.self)) \(String(decoding: message.payload, as: UTF8.self)): \(why)")
    }

    private func outcome(_ decision: Decision, _ message: MessageView) -> MessageOutcome {
        // What the last call gave out is not valid any more, as with Lua.
        for bytes in bytes { bytes.initializeMemory(as: UInt8.self, repeating: 0xFF) }
        switch decision {
        case .pass(let extra): return MessageOutcome(.pass, messages: list(extra, message))
        case .send(let messages): return MessageOutcome(.send, messages: list(messages, message), rule: 0)
        case .always(let decision, let rule):
            var outcome = outcome(decision, message)
            (outcome.isStanding, outcome.rule) = (true, rule)
            return outcome
        case .passing(let rules):
            var outcome = MessageOutcome.pass
            for rule in rules { outcome.passing.insert(rule) }
            return outcome
        case .drop: return MessageOutcome(.drop, why: hold("told so"), rule: 0)
        case .reject(let why): return MessageOutcome(.reject, why: hold(why), rule: 0)
        case .redirect(let worker): return MessageOutcome(.redirect, why: hold(worker), rule: 0)
        }
    }

    private func list(_ messages: [Made], _ original: MessageView) -> UnsafeBufferPointer<RoutedMessage> {
        made = messages.map { message in
            var changes: RoutedMessage.Changes = []
            if message.topic != nil { changes.insert(.topic) }
            if message.text != nil { changes.insert(.payload) }
            if message.kind != original.kind { changes.insert(.kind) }
            if message.delay != nil { changes.insert(.delayed) }
            var routed = RoutedMessage(
                kind: message.kind, changes: changes, topic: message.topic.map(hold) ?? original.topic, key: original.key,
                payload: message.text.map(hold) ?? original.payload, format: original.format,
                compression: message.text == nil ? original.compression : .none, filter: hold(message.filter), rule: message.rule)
            routed.delay = UInt32((message.delay ?? 0) * 1000)
            return routed
        }
        return made.withUnsafeBufferPointer { $0 }
    }

    private func hold(_ text: String) -> Bytes {
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
        copy.copyBytes(from: text.utf8)
        bytes.append(copy)
        return Bytes(copy)
    }

    func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome { connect }
    func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome { subscribe }
    func onDisconnect(_ peer: Peer, why: String, now: Double) { disconnected.append(peer.uid) }
}
