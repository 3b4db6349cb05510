import MQTTCodec
import ShuntCore

/// What rules have a client's terms say, and what they send that is no client's message.
struct RuleState {
    /// How fast clients may send, of those of whom a rule has said it.
    var paces: [ConnectionID: ClientPace] = [:]
    /// Clients that rules have closed before they were let in: why, and the rule.
    var refusals: [ConnectionID: (why: String, rule: String)] = [:]
    /// Messages that go out later.
    var delayed = Deadlines<DelayedMessage>()
    var delayedBytes = 0
    /// How many of them are of clients of one address, and their bytes.
    var delayedOf: [UInt64: DelayedShare] = [:]
    /// Some of them may be due, or wills and sessions' ends.
    var areDue = false
    /// The client identifier of whom what is being sent is, where that is nobody who is read from: of a will's client, or a delayed message's.
    var sender: String?
    /// The address of the client that has gone and has caused what is handled, where that is known.
    var goneAddress: PeerAddress?
}

/// What is delayed for clients of one address.
struct DelayedShare {
    var messages = 0
    var bytes = 0
}

/// What a client may send in a second, in place of its listener's limits; nil: what the listener lets it, 0: any number.
public struct ClientPace: Equatable, Sendable {
    public var messages: Int?
    public var bytes: Int?
}

/// A message that goes out later.
struct DelayedMessage {
    var message: OwnedMessage
    /// The rule that has delayed it. Its place may change meanwhile.
    var rule: String
    /// The rules that have sent it on, that one among them: no version of theirs sees it again.
    var sentOn: [String]
    /// How subscriptions name its sender, who may want none of its own messages; and of MQTT its client identifier, since it may have come back
    /// with another session meanwhile.
    var publisher: ConnectionID
    var clientID: String
    /// The sender's address, which tells whose message it is once that client has gone; nil: nobody's.
    var address: PeerAddress?
    /// What its sender, or its rule, might send when it was delayed; nil: everything.
    var permissions: (any Permissions)?
    /// Seconds since 1970.
    var since: Double
}

/// A rule alone, without a client: it may do what its table grants.
private final class RuleRights: Permissions {
    func may(_ action: AccessAction, _ subject: Bytes, group: Bytes?) -> Bool { false }
    func mayReceive(_ topic: Bytes) -> Bool { false }
    func place(of action: AccessAction, _ subject: Bytes, group: Bytes?) -> String { "" }
    func withholds(_ filter: Bytes, group: Bytes?) -> Bool { false }
}

extension LoopEngine {
    /// Sends what rules have sent in a hook that is about no message.
    func sendEmitted(_ hooks: any RuleHooks) {
        let emitted = hooks.emitted
        guard !emitted.isEmpty else { return }
        let messages = emitted.map { OwnedMessage($0) }
        byItself {
            for message in messages where router.mayBeSent(message) {
                if let delay = message.delay { keep(message, for: delay) } else { sendOwn(message, excluded: hooks.versions(of: Int(message.rule))) }
            }
        }
        giveRoomBack()
    }

    func sendEmitted(now: Double) {
        router.now = now
        if let hooks { sendEmitted(hooks) }
    }

    /// Runs with the rights of a rule that acts for nobody: where access is set, its grants.
    private func byItself(_ body: () -> Void) {
        sending(as: "") { router.publish(by: .none, access.contains { $0.permissions != nil } ? RuleRights() : nil, body) }
    }

    /// - Parameter clientID: of the client whose messages are sent; empty where it has none.
    func sending(as clientID: String, _ body: () -> Void) {
        let before = rulesState.sender
        rulesState.sender = clientID
        body()
        rulesState.sender = before
    }

    private func sendOwn(_ own: OwnedMessage, excluded: RuleSelection) {
        var message = own
        message.delay = nil
        switch message.kind {
        case .topic:
            router.publishOwn(message, excluded: excluded)
            if router.leavesMore { sendOthers() }
        case .broadcast: push(router.followed(message), answering: nil)
        case .chat:
            guard let place = message.place else { return announce(router.followed(message)) }
            say(router.followed(message), by: place)
        }
    }

    // MARK: Messages that go out later

    /// Keeps a message whose sender's rights have been checked.
    func keep(_ message: OwnedMessage, for seconds: Double) {
        // The rules' host keeps to the room that it was told.
        guard rulesState.delayed.count < limits.delayedMessages, rulesState.delayedBytes + message.size <= limits.delayedBytes else {
            output.figures.dropped += 1
            return
        }
        let address = address(of: message.sender)
        countDelayed(message, of: address, 1)
        let rule = hooks?.name(of: Int(message.rule)) ?? ""
        let sentOn = message.sentOn.places.compactMap { hooks?.name(of: $0) }
        let clientID = rulesState.sender ?? clientID(ofSubscriber: router.publisher)
        rulesState.delayed.insert(
            DelayedMessage(
                message: message, rule: rule, sentOn: sentOn, publisher: router.publisher, clientID: clientID, address: address,
                permissions: router.permissions, since: now),
            at: now + seconds)
        output.figures.delays += 1
        tellDelayRoom()
    }

    /// A message begins to wait (1), or waits no longer (-1).
    private func countDelayed(_ message: OwnedMessage, of address: PeerAddress?, _ change: Int) {
        rulesState.delayedBytes += change * message.size
        guard let network = address?.network else { return }
        var share = rulesState.delayedOf[network, default: DelayedShare()]
        share.messages += change
        share.bytes += change * message.size
        rulesState.delayedOf[network] = share.messages == 0 ? nil : share
    }

    public func mayDelay(by id: ConnectionID, bytes: Int) -> Bool {
        guard let network = address(of: id)?.network, let share = rulesState.delayedOf[network] else { return true }
        return share.messages < max(1, limits.delayedMessages / 2) && share.bytes + bytes <= limits.delayedBytes / 2
    }

    func tellDelayRoom() {
        output.figures.delayed = rulesState.delayed.count
        hooks?.setDelayRoom(
            messages: limits.delayedMessages - rulesState.delayed.count, bytes: limits.delayedBytes - rulesState.delayedBytes)
    }

    /// Sends what is due: delayed messages, wills, and what comes of sessions that end. What is more than one event may cause, or takes rules
    /// long, goes out with the next turns: other clients have theirs before.
    func sendDue() {
        hooks?.beginRead()
        var hasRoom: Bool { !isBatchFull && !takesLong }
        let delayed = rulesState.delayed.count
        while hasRoom, let next = rulesState.delayed.popDue(now: now) {
            countDelayed(next.message, of: next.address, -1)
            send(next)
        }
        if delayed > 0 { tellDelayRoom() }
        while hasRoom, let session = sessions.popWill(now: now) { publishWill(of: session) }
        while hasRoom, let session = sessions.popEnded(now: now) { end(session, why: .sessionEnded, .expired) }
        rulesState.areDue = min(rulesState.delayed.first?.at ?? .infinity, sessions.nextTime) <= now
    }

    /// The worker ends, and waits no longer.
    /// - Returns: how many messages are lost.
    func giveUpDelayed() -> Int {
        let count = rulesState.delayed.count
        guard count > 0 else { return 0 }
        output.figures.dropped += count
        (rulesState.delayed, rulesState.delayedBytes, rulesState.delayedOf, rulesState.areDue) = (Deadlines(), 0, [:], false)
        tellDelayRoom()
        return count
    }

    private func send(_ delayed: DelayedMessage) {
        var message = delayed.message
        let expiry = message.properties.withUnsafeBytes { PublishProperties.expiry(in: $0) }
        if expiry != MessageView.noExpiry {
            let age = UInt32(clamping: Int(max(0, now - delayed.since)))
            guard age < expiry else {
                output.figures.delaysExpired += 1
                let told = message.origin.map { message.asItCame($0) } ?? message
                return told.withView(id: router.makeID()) { _ = router.tellUndelivered($0, why: .expired) }
            }
            var changes = PublishProperties.Changes()
            changes.expiry = expiry - age
            let key = message.key ?? []
            message.properties = key.withUnsafeBytes { key in
                if message.key != nil { changes.key = key }
                let whole = message.properties.withUnsafeBytes { PublishProperties.rewrite($0, changes) }
                return whole.withUnsafeBytes { Array($0.withoutPropertyLength) }
            }
        }
        let rule = hooks?.rule(named: delayed.rule)
        message.rule = UInt8(clamping: rule ?? .max)
        message.topicRule = message.rule
        let excluded = delayed.sentOn.compactMap { hooks?.rule(named: $0) }.reduce(into: RuleSelection.none) {
            $0.formUnion(hooks?.versions(of: $1) ?? .none)
        }
        sending(as: delayed.clientID) {
            router.publish(by: publisher(of: delayed), delayed.permissions) {
                causedFrom(delayed.address) { sendOwn(message, excluded: excluded) }
            }
        }
    }

    /// How subscriptions name the sender now.
    private func publisher(of delayed: DelayedMessage) -> ConnectionID {
        guard !delayed.clientID.isEmpty else { return delayed.publisher }
        return switch sessions.holder(of: delayed.clientID, loop, clients) {
        case .session(let session)?: session.id
        case .client(let connection)?: subscriber(of: connection)
        case nil: delayed.publisher
        }
    }

    // MARK: Clients' terms

    /// A rule lets a client in on these terms.
    func settle(_ terms: ClientTerms, _ connection: ConnectionID) {
        let identity = clients[connection.slot].identity ?? Client.Identity()
        clients[connection.slot].identity = identity
        if let attributes = terms.attributes { identity.attributes = attributes }
        if terms.messagesPerSecond != nil || terms.bytesPerSecond != nil {
            rulesState.paces[connection] = ClientPace(messages: terms.messagesPerSecond, bytes: terms.bytesPerSecond)
        }
        guard let time = terms.expiresAt else { return }
        identity.expiresAt = time
        expire(connection, at: time)
    }

    /// A client has to go at a time, unless it is given another one.
    func expire(_ connection: ConnectionID, at time: Double) {
        expiries.insert(connection, at: time)
        // Clients that have gone leave theirs behind, and times that were replaced stay.
        guard expiries.count > 2 * clients.count + 1024 else { return }
        expiries.keep { at, client in
            guard isCurrent(client), let identity = clients[client.slot].identity else { return false }
            return identity.expiresAt == at || identity.access?.admitted.expiresAt == at
        }
    }

    /// When a client has to go; nil where it has gone.
    func expiry(of connection: ConnectionID) -> Double? {
        guard isCurrent(connection), let identity = clients[connection.slot].identity else { return nil }
        return min(identity.access?.admitted.expiresAt ?? .infinity, identity.expiresAt)
    }

    /// Whether a rule has said of any client how fast it may send.
    @inline(__always)
    public var hasPaces: Bool { !rulesState.paces.isEmpty }
    public func pace(of connection: ConnectionID) -> ClientPace? { hasPaces ? rulesState.paces[connection] : nil }
}
