import MQTTCodec
import ShuntCore

/// The engine tells rules of sessions and acknowledgements, and publishes wills, which they see before.
extension LoopEngine {
    /// Something happens to a session that outlives its connection.
    func tell(_ event: SessionEvent, _ session: MQTTSession) { tell(event, view(of: session)) }

    func tell(_ event: SessionEvent, _ session: SessionView) {
        guard let hooks, hooks.wanted.contains(.session) else { return }
        hooks.onSession(event, session, now: now)
        sendEmitted(hooks)
    }

    /// A session as rules see it.
    func view(of session: MQTTSession) -> SessionView {
        var view = SessionView(
            clientID: session.clientID, uid: session.identity.uid, version: session.version.name, expiry: session.expiry)
        view.isConnected = session.isConnected
        view.client = session.isConnected ? session.client : session.id
        view.subscriptions = Int(session.isConnected ? clients[session.client.slot].subscriptions : session.subscriptions)
        (view.waiting, view.inflight) = (session.waiting.count, session.window.count)
        return view
    }

    /// A client is about to be closed, since another one has come with its identifier.
    func tellTakenOver(_ connection: ConnectionID) {
        guard let identity = clients[connection.slot].identity else { return }
        if let session = identity.session, session.isLasting { return tell(.takenOver, session) }
        var view = SessionView(clientID: identity.name, uid: identity.uid, version: clients[connection.slot].version.name, expiry: 0)
        (view.isConnected, view.client, view.subscriptions) = (true, connection, Int(clients[connection.slot].subscriptions))
        tell(.takenOver, view)
    }

    // MARK: Wills

    /// The delay of a session's will is over.
    func publishWill(of session: MQTTSession) {
        let will = session.will
        session.will = nil
        causedFrom(session.lastAddress) { publish(will, of: session.identity, as: session.id) }
    }

    /// Publishes a will, through rules like any other message, if its client may still send it.
    /// - Parameters:
    ///   - connection: the client's, while it is there.
    ///   - subscriber: how the subscriptions name the client that it has kept.
    func publish(
        _ will: Will?, of identity: Client.Identity, _ connection: ConnectionID = .none, as subscriber: ConnectionID = .none
    ) {
        guard let will else { return }
        sending(as: identity.name) {
            router.publish(by: subscriber, identity.access?.permissions) { publish(will, of: identity, connection) }
        }
    }

    private func publish(_ will: Will, of identity: Client.Identity, _ connection: ConnectionID) {
        let isDenied = will.topic.withUnsafeBytes { topic in
            guard let permissions = router.permissions, !permissions.may(.publish, topic, group: nil) else { return false }
            router.denied(.publish, topic, group: nil, permissions)
            return true
        }
        guard !isDenied else { return }
        output.figures.wills += 1
        will.topic.withUnsafeBytes { topic in
            will.payload.withUnsafeBytes { payload in
                will.properties.withUnsafeBytes { properties in
                    var message = MessageView(
                        kind: .topic, topic: topic, key: nil, payload: payload, format: .none, id: router.makeID(), sender: .nobody)
                    (message.qos, message.isRetained) = (will.qos, will.isRetained)
                    if let properties = try? PublishProperties(properties) { message.take(properties) }
                    if let hooks, hooks.wanted.contains(.will) {
                        pass(message, of: client(of: will, identity, connection), through: hooks)
                    } else {
                        publishForNobody(message)
                    }
                }
            }
        }
    }

    /// Publishes what no connected client waits for an answer of.
    func publishForNobody(_ message: MessageView) {
        guard message.topic.count <= limits.topic else { return }
        let route = router.route(of: message.topic, last: .none)
        guard !route.isNone else { return }
        _ = router.publish(Publication(message), route, hooks)
        if router.leavesMore { sendOthers() }
    }

    /// A will's client, as rules see it: where it has gone, as it was.
    private func client(of will: Will, _ identity: Client.Identity, _ connection: ConnectionID) -> Peer {
        if let peer = peer(connection) ?? will.departed.map({ peer($0.id, $0.client) }) { return peer }
        return Peer(id: .nobody, uid: identity.uid, device: identity.device, protocolName: ClientProtocol.mqtt.rawValue, address: "", connectedAt: 0)
    }

    /// Publishes a will as rules say. It, and what they make of it, goes on through the rules of its topic, as any client's message: all of that
    /// is one message.
    func pass(_ will: MessageView, of peer: Peer, through hooks: any RuleHooks) {
        router.begin(hooks)
        router.beginMessage(will)
        router.tracer?.begin(will, from: router.peerOf, now: now)
        var asked = will
        asked.room = limits.fanout
        let before = guest
        guest = peer
        let outcome = hooks.onWill(asked, of: peer, now: now)
        guest = before
        router.publish(will: will, outcome.verdict, isFinal: outcome.isFinal, router.made(outcome))
        if router.leavesMore { sendOthers() }
    }

    // MARK: Acknowledgements

    /// A client has acknowledged a message that was held for it.
    func tellAcked(_ entry: OutgoingWindow.Entry, _ session: MQTTSession) {
        guard let hooks, !entry.isReleased, entry.held != HeldMessages.none else { return }
        guard var message = WireEncoder.read(held.packet(entry.held), held.form(entry.held)) else { return }
        (message.qos, message.isRetained) = (entry.handOver.qos, entry.handOver.isRetained)
        hooks.beginTurn()
        hooks.onAcked(message, by: session.client, now: now)
    }
}
