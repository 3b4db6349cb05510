import ShuntCore

/// Clients as rules ask for them.
extension LoopEngine: PeerDirectory {
    public func peer(_ id: ConnectionID) -> Peer? {
        if id.isSession { return sessions[id].flatMap { $0.isConnected ? peer($0.client) : nil } }
        guard isCurrent(id) else { return guest?.id == id ? guest : nil }
        return peer(id, clients[id.slot])
    }

    /// A client as rules see it.
    func peer(_ id: ConnectionID, _ client: Client) -> Peer {
        let identity = client.identity
        var seen = Peer(
            id: id, uid: identity?.uid ?? "", device: identity?.device ?? "", tags: identity?.tags ?? [],
            alias: identity?.alias ?? [], protocolName: client.protocolName.rawValue, address: client.address.description,
            groups: client.subscriptions > 0 ? router.index.groups(of: subscriber(of: id)).filter { $0.utf8.first != 0 } : [],
            connectedAt: client.connectedAt, mqtt: mqtt(client),
            access: identity?.access.map { Peer.Access(listener: Int(client.listener), address: client.address, admitted: $0.admitted) })
        if let attributes = identity?.attributes, !attributes.isEmpty { seen.attributes = attributes }
        return seen
    }

    public func hasPeer(_ id: ConnectionID) -> Bool {
        if id.isSession { return sessions[id].map { $0.isConnected && isCurrent($0.client) } ?? false }
        return isCurrent(id) || guest?.id == id
    }

    public func text(_ text: PeerText, of id: ConnectionID) -> String? {
        if id.isSession { return sessions[id].flatMap { $0.isConnected ? self.text(text, of: $0.client) : nil } }
        guard isCurrent(id) else { return guest?.id == id ? guest?[text] : nil }
        return switch text {
        case .uid: clients[id.slot].identity?.uid ?? ""
        case .device: clients[id.slot].identity?.device ?? ""
        case .protocolName: clients[id.slot].protocolName.rawValue
        case .address: clients[id.slot].address.description
        }
    }

    /// What only a client of MQTT has. Nothing is copied: rules may ask for each message.
    func mqtt(_ client: Client) -> Peer.MQTT? {
        guard client.protocolName == .mqtt, let identity = client.identity else { return nil }
        let will = identity.session?.will ?? identity.will
        var peer = Peer.MQTT(
            clientID: identity.name, version: client.version.name, keepAlive: client.keepAlive, properties: identity.properties,
            will: will.map {
                Peer.Will(
                    topic: $0.topic, payload: $0.payload, qos: $0.qos, isRetained: $0.isRetained, properties: $0.properties, delay: $0.delay)
            })
        peer.authMethod = identity.authMethod
        return peer
    }

    /// Empty for a client of the exchange protocol, whose device's name is no client identifier.
    func clientID(of connection: ConnectionID) -> String {
        clients[connection.slot].protocolName == .mqtt ? clients[connection.slot].identity?.name ?? "" : ""
    }

    /// The same of a client, or a session, as subscriptions name it; empty where it is not there.
    func clientID(ofSubscriber id: ConnectionID) -> String {
        guard id.loop == loop, id.isSession else { return isCurrent(id) ? clientID(of: id) : "" }
        return sessions[id]?.clientID ?? ""
    }

    public func address(of id: ConnectionID) -> PeerAddress? { isCurrent(id) ? clients[id.slot].address : rulesState.goneAddress }

    /// Handles what a client has caused that may have gone: its failures are still those of its address.
    func causedFrom(_ address: PeerAddress?, _ body: () -> Void) {
        let before = rulesState.goneAddress
        rulesState.goneAddress = address
        body()
        rulesState.goneAddress = before
    }

    public func failed(_ rule: String, _ code: ErrorCode, on message: MessageView) {
        router.die(message, why: code.rawValue, rule: rule)
    }

    /// A rule closes a client, of whatever loop. One that is not in yet is refused, once all rules have decided about it.
    public func close(_ id: ConnectionID, why: String, by rule: String) {
        guard id.loop == loop else {
            if Int(id.loop) < loops { output.tell(.close(id, why: why, rule: rule), loop: id.loop) }
            return
        }
        guard let connection = connection(of: id), clients[connection.slot].state == .open else { return }
        guard clients[connection.slot].isAdmitted, connection != entering else {
            if rulesState.refusals[connection] == nil { rulesState.refusals[connection] = (why, rule) }
            return
        }
        closeTexts[connection] = why
        close(connection, .ruleRejected)
    }

    /// Why a rule has closed a client that is not in yet.
    func refusalByRule(of connection: ConnectionID) -> ShuntError? {
        guard !rulesState.refusals.isEmpty, let refusal = rulesState.refusals[connection] else { return nil }
        return ShuntError(.ruleRejected, refusal.why)
    }
}
