import ExchangeCodec
import ShuntCore
import ShuntEngine
import ShuntRules

/// A loop without sockets, on which messages go through rules: who would get them is told, and nothing is sent.
public final class Rehearsal {
    private let rules: ObservedRules
    private let engine: LoopEngine
    private let edge: RehearsalEdge
    private let hasSubscribers: Bool
    private var nextSlot: UInt32 = 0
    private var lastFrame: Int64 = 0
    /// The subscribers by their connections, and the connections by uid and device.
    private var subscribers: [ConnectionID: RehearsedSubscriber] = [:]
    private var connections: [[String]: ConnectionID] = [:]
    /// The connections of senders, and since when they are there. A sender has one as long as no rule closes it.
    private var senders: [String: (id: ConnectionID, since: Double)] = [:]
    private var lastMessage: Int64 = 0

    /// - Parameters:
    ///   - routing: what the worker's configuration says of the engine.
    ///   - strategies: how groups choose their members.
    ///   - subscribers: who has subscribed what; nil where nothing is to be told of recipients.
    ///   - now: seconds since 1970.
    /// - Throws: `usage` for a subscription that is refused.
    public init(
        _ set: RuleSet, limits: RuleLimits = RuleLimits(), routing: RoutingLimits = .init(), strategies: GroupStrategies = .init(),
        subscribers: [RehearsedSubscriber]?, now: Double
    ) throws(ShuntError) {
        rules = try ObservedRules(set: set, limits: limits, watchesDeliveries: subscribers != nil, now: now)
        engine = LoopEngine(
            loop: 0, limits: routing, strategies: strategies, chat: ChatSettings(members: 100_000, hasMasters: false), hooks: rules, random: { 0 })
        edge = RehearsalEdge(engine, now: now)
        hasSubscribers = subscribers != nil
        for subscriber in subscribers ?? [] { try add(subscriber) }
    }

    /// What `on_load` logged.
    public var loadingLines: [RuleLogEntry] { rules.loadingLines }
    /// The rules' names, by priority.
    public var names: [String] { rules.names }

    // MARK: clients

    private func open() -> ConnectionID {
        let id = newConnection()
        open(id)
        return id
    }

    private func newConnection() -> ConnectionID {
        defer { nextSlot += 1 }
        return ConnectionID(loop: 0, slot: nextSlot, generation: 0)
    }

    private func open(_ id: ConnectionID) {
        engine.opened(id, address: PeerAddress(ipv4: 0x7F00_0001, port: 50_000), speaking: .exchange, now: edge.now)
    }

    /// The sender of a message with its connection, which its messages before had, too.
    private func sender(of message: RehearsedMessage) -> Peer {
        let known = senders[message.connection] ?? (newConnection(), edge.now)
        senders[message.connection] = known
        var sender = message.sender
        sender.id = known.id
        if !message.saysConnectedAt { sender.connectedAt = known.since }
        return sender
    }

    private func add(_ subscriber: RehearsedSubscriber) throws(ShuntError) {
        let name = [subscriber.uid, subscriber.device ?? "", subscriber.uid.isEmpty ? subscriber.place : ""]
        let id = connections[name] ?? open()
        if connections[name] == nil, !subscriber.uid.isEmpty {
            let body = RegisterBody(
                uid: subscriber.uid, device: subscriber.device ?? subscriber.uid, tags: subscriber.tags, alias: subscriber.alias)
            try expect(ask(Frame(.register, id: next(), format: .json, value: body.encoded()), from: id), subscriber)
        }
        connections[name] = id
        if subscribers[id] == nil { subscribers[id] = subscriber }
        guard let topic = subscriber.topic else { return }
        let body = SubscribeBody(group: subscriber.group ?? subscriber.place, topic: topic, key: subscriber.key)
        try expect(ask(Frame(.subscribe, id: next(), format: .json, value: body.encoded()), from: id), subscriber)
    }

    private func expect(_ answer: Frame?, _ subscriber: RehearsedSubscriber) throws(ShuntError) {
        guard let answer, answer.isError else { return }
        throw ShuntError(.usage, "the subscriber is refused: \(answer.status) \(answer.text)", at: subscriber.place)
    }

    private func next() -> Int64 {
        lastFrame += 1
        return lastFrame
    }

    /// Sends a frame and gives its answer.
    private func ask(_ frame: Frame, from id: ConnectionID) -> Frame? {
        edge.receive(frame.encoded(), from: id)
        return edge.taken().last { $0.client == id && $0.frame.type == .acknowledgement && $0.frame.id == frame.id }?.frame
    }

    // MARK: messages

    /// What becomes of a message.
    /// - Throws: `usage` where it can't be sent at all.
    public func run(_ message: RehearsedMessage) throws(ShuntError) -> RehearsalResult {
        if let at = message.at { edge.now = at }
        lastMessage += 1
        let message = message.numbered(lastMessage)
        let sender = sender(of: message)
        let client = sender.id
        // The engine has the connection only meanwhile: rules are not told that it goes.
        open(client)
        defer {
            engine.closed(client, why: "closed", now: edge.now)
            edge.endTurn()
            if rules.hasClosedSender || !edge.reads(client) { senders[message.connection] = nil }
        }
        rules.begin(message, from: sender, others: engine)
        let others = message.kind == .chat ? try members(of: message, client) : []
        defer { for id in others { engine.closed(id, why: "closed", now: edge.now) } }
        let frame = try frame(message)
        // Calls that made the chat are no part of it.
        rules.begin(message, from: sender, others: engine)
        var answer: Frame?
        if let frame {
            edge.receive(frame.encoded(), from: client)
        } else {
            answer = publish(message, from: client)
        }
        let taken = edge.taken()
        if let frame { answer = taken.last { $0.client == client && $0.frame.type == .acknowledgement && $0.frame.id == frame.id }?.frame }
        var result = RehearsalResult(message: ObservedMessage(message), sender: message.sender)
        (result.steps, result.out, result.unmatched) = (rules.steps, rules.out, rules.unmatched)
        result.exceedsHops = rules.exceedsHops
        result.answer = answer.map { .init(status: Int($0.status), text: $0.text) }
        // Where nobody has subscribed a worker says so; any other error refuses the message before a rule is asked.
        let isRefused = !rules.isAsked && ![200, 500].contains(result.answer?.status ?? 200)
        if !rules.isAsked { (result.out, result.unmatched) = (isRefused ? [] : [result.message], rules.names) }
        result.unmatched.removeAll { name in result.steps.contains { $0.rule == name } }
        if hasSubscribers {
            result.recipients = taken.filter { $0.frame.type != .acknowledgement }.map { client, frame in
                recipient(client, frame, isMember: others.contains(client))
            }
        } else if result.answer?.status == 500 {
            result.answer = nil
        }
        return result
    }

    /// Publishes a topic message as it is: no wire carries all that its author may say.
    /// - Returns: what a client of the exchange protocol is answered.
    private func publish(_ message: RehearsedMessage, from client: ConnectionID) -> Frame {
        message.withView(from: client) { view in
            defer { edge.endTurn() }
            guard let error = engine.publish(view, now: edge.now) else { return Frame(acknowledging: view.id) }
            return Frame(acknowledging: view.id, error)
        }
    }

    private func recipient(_ client: ConnectionID, _ frame: Frame, isMember: Bool) -> RehearsalResult.Recipient {
        let subscriber = subscribers[client]
        let isBroadcast = frame.type == .notify
        let payload = isBroadcast ? frame.value.withUnsafeBytes { (try? NotifyBody(decoding: $0))?.message ?? "" } : frame.text
        let uid = subscriber?.uid ?? engine.peer(client)?.uid ?? ""
        return .init(
            uid: uid, device: isBroadcast ? subscriber?.device : nil, group: isMember || isBroadcast ? nil : subscriber?.group,
            topic: isBroadcast ? nil : frame.name, payload: payload)
    }

    /// - Returns: nil for a topic message, which goes to the engine as it is.
    private func frame(_ message: RehearsedMessage) throws(ShuntError) -> Frame? {
        // The wire has no empty payload; the rules are given the author's.
        let payload = message.payload.isEmpty ? [0x20] : message.payload
        let format = message.format == .none ? .text : message.format
        switch message.kind {
        case .topic: return nil
        case .chat: return Frame(.chat, id: next(), format: format, value: payload, name: message.topic, key: ChatKey.session.rawValue)
        case .broadcast:
            do throws(ShuntError) {
                var body: NotifyBody = try decoded(message.filter)
                body.message = message.payload.isEmpty ? nil : String(decoding: message.payload, as: UTF8.self)
                return Frame(.notify, id: next(), format: .json, value: body.encoded())
            } catch {
                throw ShuntError(.usage, "the filter: \(error.message)", help: error.help)
            }
        }
    }

    private func decoded(_ filter: [UInt8]) throws(ShuntError) -> NotifyBody {
        let body: Result<NotifyBody, ShuntError> = filter.withUnsafeBytes { bytes in
            do throws(ShuntError) { return .success(try NotifyBody(decoding: bytes)) } catch { return .failure(error) }
        }
        return try body.get()
    }

    /// Makes the chat with the sender and the other members.
    private func members(of message: RehearsedMessage, _ sender: ConnectionID) throws(ShuntError) -> [ConnectionID] {
        var all: [ConnectionID] = []
        let uids = message.members.filter { $0.uid != message.sender.uid }
        for (id, uid) in [(sender, message.sender.uid)] + uids.map({ (open(), $0.uid) }) {
            if id != sender { all.append(id) }
            if !uid.isEmpty {
                let body = RegisterBody(uid: uid, device: "rehearsal", tags: [], alias: [])
                _ = ask(Frame(.register, id: next(), format: .json, value: body.encoded()), from: id)
            }
            let create = Frame(.chat, id: next(), text: message.topic, name: message.topic, key: ChatKey.create.rawValue)
            if let answer = ask(create, from: id), answer.isError {
                throw ShuntError(.usage, "the chat \(message.topic): \(answer.status) \(answer.text)")
            }
        }
        for (id, member) in zip(all, uids) where !member.isOnline {
            engine.closed(id, why: "closed", now: edge.now)
            edge.endTurn()
        }
        return all
    }
}

/// What is around the rehearsal's engine: nothing, except for what it would write.
final class RehearsalEdge: LoopEdge {
    private let engine: LoopEngine
    private let driver: LoopDriver
    var now: Double
    private var got: [(client: ConnectionID, frame: Frame)] = []
    private var closed: Set<ConnectionID> = []
    private var confirmed: [UInt64] = []
    private var isAwake = false

    init(_ engine: LoopEngine, now: Double) {
        self.engine = engine
        driver = LoopDriver(engine)
        self.now = now
    }

    func receive(_ bytes: [UInt8], from client: ConnectionID) {
        var offset = 0
        while offset < bytes.count, !closed.contains(client) {
            let taken = bytes[offset...].withUnsafeBytes { driver.received($0, on: client, self) }
            endTurn()
            guard taken > 0 else { break }
            offset += taken
        }
        endTurn()
    }

    func endTurn() {
        driver.carryOut(self)
        repeat {
            isAwake = false
            driver.turnEnded(self)
            guard !confirmed.isEmpty else { continue }
            let requests = confirmed
            confirmed = []
            engine.confirmed(requests, now: now)
            isAwake = true
        } while isAwake
    }

    /// What clients have been written since it was asked last.
    func taken() -> [(client: ConnectionID, frame: Frame)] {
        defer { got = [] }
        return got
    }

    private func take(_ bytes: Bytes, _ client: ConnectionID) {
        guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
        got.append((client, Frame(view, in: start)))
    }

    func reads(_ client: ConnectionID) -> Bool { !closed.contains(client) }
    func postpone(_ client: ConnectionID) {}

    func send(_ bytes: Bytes, to client: ConnectionID) -> SendOutcome? {
        guard !closed.contains(client) else { return nil }
        take(bytes, client)
        return .queued
    }

    func answer(_ count: Int, to client: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void) {
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 1)
        defer { space.deallocate() }
        guard let start = space.baseAddress else { return }
        write(start)
        take(Bytes(start: start, count: count), client)
    }

    func close(_ client: ConnectionID, _ code: ErrorCode?) {
        closed.insert(client)
        engine.closed(client, why: code?.rawValue ?? "closed", now: now)
    }

    func move(_ client: ConnectionID, to loop: Int, unread: Bytes) {}
    func authenticate(_ client: ConnectionID, _ credentials: Credentials) {}
    func readAgain(_ client: ConnectionID) {}
    func wakeAgain() { isAwake = true }
    func setHeld(_ isHeld: Bool, _ client: ConnectionID) {}
    func emptyMail() -> LoopMail { LoopMail() }
    func post(_ mail: LoopMail, to loop: Int) {}

    func tellMaster(_ news: [MasterNews]) {
        for case .confirm(let request) in news { confirmed.append(request) }
    }
}
