import MQTTCodec
import ShuntCore

/// Tells operators' traces of one loop's messages. There is one only while somebody follows messages.
public final class MessageTracer {
    /// Takes a message for the traces of these places in `requests`.
    public typealias Take = (_ places: [Int], _ message: TracedMessage) -> Void

    let requests: [TraceRequest]
    private let take: Take
    /// Messages of a second that are not looked at.
    private let skip: (Int) -> Void
    private let perSecond: Int
    private let loop: UInt8
    private var second = 0.0
    private var seen = 0
    private var current: (places: [Int], message: TracedMessage)?
    private var trail = Trail()

    /// What rules have made of the message so far.
    private struct Trail {
        /// What the rule did that has decided about the message itself, where it has refused it.
        var refusal: TracedMessage.Step?
        var isDecided = false
        /// How many messages of it are still on their way, as rules have left it.
        var left = 1
        /// Why the last of those that are not was stopped.
        var stopped: String?
        /// Who has got what rules sent besides a message that they refused.
        var besides = 0
    }

    /// - Parameters:
    ///   - perSecond: messages that are told at most.
    ///   - skip: is told of each message that is not.
    public init(_ requests: [TraceRequest], loop: UInt8, perSecond: Int = 1000, take: @escaping Take, skip: @escaping (Int) -> Void) {
        (self.requests, self.loop, self.perSecond) = (requests, loop, perSecond)
        (self.take, self.skip) = (take, skip)
    }

    /// Stands alone for the rules of a topic that no rule wants and a trace does: the topic's messages are then handled as those of rules are. The
    /// last rule has the same bit where a worker runs as many as it can: `isMark` tells them apart.
    private static let mark = RuleSelection(mask: 1 << UInt64(RuleSelection.capacity - 1))

    /// What a followed topic's rules are: they themselves, or the mark where there are none.
    static func marking(_ rules: RuleSelection) -> RuleSelection { rules.isEmpty ? mark : rules }

    /// Whether a selection for a topic stands for a trace and for no rule.
    static func isMark(_ selection: RuleSelection, _ topic: Bytes, _ rules: (any RuleHooks)?) -> Bool {
        selection == mark && (rules?.selection(for: .topic, topic: topic) ?? .none).isEmpty
    }

    func wants(_ topic: Bytes) -> Bool { requests.contains { takes(topic, $0) } }

    private func takes(_ topic: Bytes, _ request: TraceRequest) -> Bool {
        var filter = request.topic
        return filter.withUTF8 { TopicFilter.takes(topic, filter: Bytes($0)) }
    }

    var isFollowing: Bool { current != nil }

    /// A client's message is there.
    /// - Parameter peer: who has sent it; with all that rules may read of it where that is asked for, which costs more.
    func begin(_ message: MessageView, from peer: (_ id: ConnectionID, _ isWhole: Bool) -> Peer?, now: Double) {
        (current, trail) = (nil, Trail())
        var places = requests.indices.filter { takes(message.topic, requests[$0]) }
        guard !places.isEmpty else { return }
        let sender = peer(message.sender, false)
        places.removeAll { place in
            let request = requests[place]
            return request.uid.map { $0 != sender?.uid } ?? false || request.client.map { $0 != sender?.name } ?? false
        }
        guard !places.isEmpty else { return }
        if abs(now - second) >= 1 { (second, seen) = (now, 0) }
        seen += 1
        guard seen <= perSecond else { return skip(1) }
        var told = TracedMessage(at: now, loop: Int(loop), topic: String(decoding: message.topic, as: UTF8.self))
        told.key = message.key.map { String(decoding: $0, as: UTF8.self) }
        (told.qos, told.retained, told.bytes) = (Int(message.qos.rawValue), message.isRetained, message.payload.count)
        (told.uid, told.client, told.address) = (sender?.uid ?? "", sender?.name ?? "", sender?.address ?? "")
        told.format = "\(message.format)"
        if message.compression != .none { told.compression = "\(message.compression)" }
        if places.contains(where: { requests[$0].payloads == true }) {
            told.payload = String(validating: message.payload, as: UTF8.self)
            if told.payload == nil { told.payloadBase64 = Self.base64(message.payload) }
            told.more = Self.more(of: message, from: peer(message.sender, true))
        }
        current = (places, told)
    }

    private static func more(of message: MessageView, from sender: Peer?) -> TracedMessage.More {
        var more = TracedMessage.More()
        more.sender = sender.map(TracedMessage.More.Sender.init)
        more.id = Int(message.id)
        if message.expiry != MessageView.noExpiry { more.expiry = message.expiry }
        guard let properties = try? Properties(ofMessage: message.properties) else { return more }
        if !properties.userProperties.isEmpty { more.props = properties.userProperties.map(TracedMessage.More.Pair.init) }
        (more.contentType, more.responseTopic) = (properties.contentType, properties.responseTopic)
        more.correlationData = properties.correlationData.flatMap { String(validating: $0, as: UTF8.self) }
        more.payloadFormat = properties.payloadFormat.map(Int.init)
        return more
    }

    func step(_ step: TracedMessage.Step) {
        // Rules that send on what others have sent on may decide very often.
        guard (current?.message.steps.count ?? .max) < 64 else { return }
        current?.message.steps.append(step)
    }

    /// Rules have been asked about the message, or about what they have made of it.
    /// - Parameters:
    ///   - rule: the one that has decided.
    ///   - first: how many steps there were before.
    func decided(_ outcome: MessageOutcome, by rule: String, since first: Int) {
        guard let steps = current?.message.steps else { return }
        let isRefused = [.drop, .reject, .redirect].contains(outcome.verdict)
        let step = isRefused ? steps.dropFirst(first).last { $0.rule == rule } : nil
        if !trail.isDecided { trail.refusal = step }
        trail.isDecided = true
        trail.left += outcome.messages.count - (outcome.verdict == .pass ? 0 : 1)
        let why = step?.why ?? ""
        if isRefused { trail.stopped = "rule \(rule)" + (why.isEmpty ? " gives no reason" : ": \(why)") }
    }

    /// What a rule has sent on has come over too many topics.
    func exceededHops() {
        trail.left -= 1
        trail.stopped = "it has come over limits.hops topics"
    }

    /// So many have got what rules sent besides a message that they refused.
    func sentBesides(_ count: Int) { trail.besides += count }

    var stepCount: Int { current?.message.steps.count ?? 0 }

    /// - Parameter others: what rules have made of it besides topic messages.
    func end(_ outcome: PublishOutcome, _ others: [OwnedMessage]) {
        let besides = trail.besides
        switch outcome {
        case .delivered(let count): end("delivered", "", count + besides)
        case .elsewhere: end("sent", others.prefix(8).map(Self.target).joined(separator: ", "), besides)
        case .nobody: end("nobody", trail.left > 0 ? Self.unwanted : trail.stopped ?? Self.unwanted, besides)
        case .dropped: end("dropped", trail.refusal?.why ?? "", besides)
        case .rejected(let why):
            // A rule's own reason may repeat the payload; its step says what may be told of it.
            let step = trail.refusal.flatMap { ["reject", "redirect"].contains($0.verdict) ? $0 : nil }
            end("rejected", step?.why ?? why, besides)
        }
    }

    private static let unwanted = "nobody has subscribed the topic"

    func end(_ outcome: String, _ why: String, _ recipients: Int) {
        guard var (places, message) = current else { return }
        (message.outcome, message.why, message.recipients) = (outcome, why, recipients)
        current = nil
        take(places, message)
        places = []
    }

    /// Where a message goes that is no topic message, or goes out later.
    private static func target(_ message: OwnedMessage) -> String {
        let name = PrintableText.of(String(decoding: message.topic.prefix(200), as: UTF8.self))
        let place =
            switch message.kind {
            case .topic: name
            case .broadcast: "devices"
            case .chat: "chat \(name)"
            }
        return message.delay.map { "\(place) in \($0) s" } ?? place
    }

    private static func base64(_ bytes: Bytes) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let (one, two, three) = (
                UInt32(bytes[start]), start + 1 < bytes.count ? UInt32(bytes[start + 1]) : 0, start + 2 < bytes.count ? UInt32(bytes[start + 2]) : 0
            )
            let bits = one << 16 | two << 8 | three
            text.append(letters[Int(bits >> 18)])
            text.append(letters[Int(bits >> 12 & 63)])
            text.append(start + 1 < bytes.count ? letters[Int(bits >> 6 & 63)] : UInt8(ascii: "="))
            text.append(start + 2 < bytes.count ? letters[Int(bits & 63)] : UInt8(ascii: "="))
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// The rules of a loop, or none, while messages are followed: what rules decide is told.
final class TracingHooks: RuleHooks {
    private let inner: (any RuleHooks)?
    private let tracer: MessageTracer

    init(_ inner: (any RuleHooks)?, _ tracer: MessageTracer) { (self.inner, self.tracer) = (inner, tracer) }

    func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection {
        let selection = inner?.selection(for: kind, topic: topic) ?? .none
        return kind == .topic && tracer.wants(topic) ? MessageTracer.marking(selection) : selection
    }

    func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        guard let inner, !MessageTracer.isMark(selection, message.topic, inner) else { return .pass }
        guard tracer.isFollowing else { return inner.onMessage(message, selection: selection, now: now) }
        let first = tracer.stepCount
        var outcome = inner.onMessage(message, selection: selection, now: now) { tracer.step($0) }
        tracer.decided(outcome, by: outcome.rule.map { inner.name(of: Int($0)) } ?? "", since: first)
        // Decisions that would stand are asked for each time: each is to be told.
        outcome.isStanding = false
        outcome.passing = .none
        return outcome
    }

    func beginTurn() { inner?.beginTurn() }
    func beginRead() { inner?.beginRead() }
    var takesLong: Bool { inner?.takesLong ?? false }
    func decided(by standing: StandingVerdict) { inner?.decided(by: standing) }
    func exceededHops(rule: Int, message: MessageView, now: Double) {
        tracer.exceededHops()
        inner?.exceededHops(rule: rule, message: message, now: now)
    }
    func denied(rule: Int, _ action: AccessAction, _ subject: Bytes, by place: String, now: Double) {
        tracer.step(.denied(inner?.name(of: rule) ?? "", action, subject, by: place))
        inner?.denied(rule: rule, action, subject, by: place, now: now)
    }
    func grants(of rule: Int) -> (any RuleGrants)? { inner?.grants(of: rule) }
    func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome { inner?.onConnect(peer, now: now) ?? .accept }
    func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome {
        inner?.onSubscribe(request, from: peer, now: now) ?? .accept
    }
    func onDisconnect(_ peer: Peer, why: String, now: Double) { inner?.onDisconnect(peer, why: why, now: now) }
    var wanted: RuleHookSet { inner?.wanted ?? [] }
    func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        inner?.onBroadcast(push, filter: filter, now: now) ?? .pass
    }
    func onChatOpen(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { inner?.onChatOpen(chat, by: peer, now: now) ?? .accept }
    func onChatJoin(_ chat: ChatView, by peer: Peer, now: Double) -> ConnectOutcome { inner?.onChatJoin(chat, by: peer, now: now) ?? .accept }
    func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome { inner?.onChat(message, in: chat, now: now) ?? .pass }
    func onChatClose(_ chat: ChatView, why: String, by closer: ConnectionID?, now: Double) {
        inner?.onChatClose(chat, why: why, by: closer, now: now)
    }
    func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome {
        inner?.onDeliver(message, filter: filter, to: peer, now: now) ?? .deliver
    }
    func onUndelivered(_ message: MessageView, why: String, now: Double) { inner?.onUndelivered(message, why: why, now: now) }
    func onUnsubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) {
        inner?.onUnsubscribe(request, from: peer, now: now)
    }
    func onTick(now: Double, sent: () -> Void) { inner?.onTick(now: now, sent: sent) }
    func onRegister(_ peer: Peer, now: Double) -> RegisterOutcome { inner?.onRegister(peer, now: now) ?? .accept }
    var emitted: UnsafeBufferPointer<RoutedMessage> { inner?.emitted ?? UnsafeBufferPointer(start: nil, count: 0) }
    func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int? {
        inner?.onSelect(group, members, message, now: now)
    }
    func onWill(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome { inner?.onWill(message, of: peer, now: now) ?? .pass }
    func onSession(_ event: SessionEvent, _ session: SessionView, now: Double) { inner?.onSession(event, session, now: now) }
    func onAcked(_ message: MessageView, by peer: ConnectionID, now: Double) { inner?.onAcked(message, by: peer, now: now) }
    func setDelayRoom(messages: Int, bytes: Int) { inner?.setDelayRoom(messages: messages, bytes: bytes) }
    func onAuth(_ peer: Peer, _ step: AuthStep, now: Double) -> AuthOutcome { inner?.onAuth(peer, step, now: now) ?? .unknown }
    func abandon(_ peer: ConnectionID) { inner?.abandon(peer) }
    var refusing: String? { inner?.refusing }
    func hidesReason(_ why: String) -> Bool { inner?.hidesReason(why) ?? false }
    func name(of rule: Int) -> String { inner?.name(of: rule) ?? "" }
    func rule(named name: String) -> Int? { inner?.rule(named: name) }
    func versions(of rule: Int) -> RuleSelection { inner?.versions(of: rule) ?? .none }
}
