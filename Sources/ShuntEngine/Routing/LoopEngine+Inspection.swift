import ShuntCore

/// What an operator asks about the way of a message. Nothing is sent, counted or changed.
extension LoopEngine {
    /// How often rules may send a message on.
    public var hopLimit: Int { limits.hops }

    /// Why no client may publish to a topic; nil where rights decide.
    public func refusal(ofTopic topic: Bytes) -> ShuntError? {
        if TopicRouter.isSystemTopic(topic) { return ShuntError(.topicInvalid, TopicRouter.systemTopicRefusal) }
        return topic.count > limits.topic ? .topic(ofBytes: topic.count, limit: limits.topic) : nil
    }

    /// The connected clients of this loop that have a uid, and a client identifier or device; nil: any.
    /// - Parameter limit: how many are looked for.
    public func connected(uid: String?, name: String?, limit: Int) -> [Peer] {
        var found: [Peer] = []
        for slot in clients.indices where clients[slot].state == .open && clients[slot].isAdmitted {
            guard found.count < limit else { break }
            guard uid == nil || clients[slot].identity?.uid == uid else { continue }
            let id = ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)
            if let peer = peer(id), name == nil || peer.name == name { found.append(peer) }
        }
        return found
    }

    /// Who would get a message with this topic and key, as this loop would choose.
    public func inspect(_ topic: [UInt8], key: [UInt8]?, group: String?, limit: Int) -> RouteInspection {
        let hooks = hooks
        return topic.withUnsafeBytes { topic in
            func look(_ key: Bytes?) -> RouteInspection {
                router.index.inspect(topic, key: key, group: group, limit: limit) { hooks?.selection(for: .topic, topic: $0) ?? .none }
            }
            guard let key else { return look(nil) }
            return key.withUnsafeBytes { look($0) }
        }
    }

    /// A group from which rules may choose, and those of its members that this loop serves.
    public struct Candidates: Sendable {
        public var group: String
        public var members: [GroupMember]
        public var peers: [Peer]
    }

    /// The groups with these names that have several members who may get a message of this topic and key.
    public func candidates(_ topic: [UInt8], key: [UInt8]?, groups: Set<String>) -> [Candidates] {
        topic.withUnsafeBytes { topic in
            func look(_ key: Bytes?) -> [GroupChoice] {
                let route = router.route(of: topic, last: .none)
                return route.isNone ? [] : router.index.choices(route, key: key, groups: groups)
            }
            let choices = key.map { $0.withUnsafeBytes { look($0) } } ?? look(nil)
            return choices.map { choice in
                Candidates(group: choice.group, members: choice.members, peers: choice.members.compactMap { naming($0.id) })
            }
        }
    }

    /// Filters that somebody has subscribed: some, where there are very many.
    public func someFilters(_ limit: Int) -> [String] { router.index.someFilters(limit) }

    /// What names a client of this loop. Its groups are left out: a client may have very many.
    func naming(_ id: ConnectionID) -> Peer? {
        if id.isSession { return sessions[id].flatMap { $0.isConnected ? naming($0.client) : nil } }
        guard isCurrent(id) else { return nil }
        let client = clients[id.slot]
        return Peer(
            id: id, uid: client.identity?.uid ?? "", device: client.identity?.device ?? "", tags: client.identity?.tags ?? [],
            alias: client.identity?.alias ?? [], protocolName: client.protocolName.rawValue, address: client.address.description,
            connectedAt: client.connectedAt, mqtt: mqtt(client))
    }

    /// Who the clients of this loop are.
    public func describe(_ clients: [ConnectionID], topic: [UInt8]) -> [ConnectionID: ExplainRecord.Client] {
        var described: [ConnectionID: ExplainRecord.Client] = [:]
        for id in clients where id.loop == loop {
            let session = id.isSession ? sessions[id] : nil
            let identity = id.isSession ? session?.identity : isCurrent(id) ? self.clients[id.slot].identity : nil
            let isWithheld = topic.withUnsafeBytes { topic in identity?.access?.permissions.map { !$0.mayReceive(topic) } ?? false }
            if let peer = naming(id) {
                described[id] = .init(uid: peer.uid, client: peer.name, address: peer.address, isWithheld: isWithheld)
            } else if let session {
                described[id] = .init(
                    uid: session.identity.uid, client: session.clientID, address: "", isAway: true, isWithheld: isWithheld)
            }
        }
        return described
    }
}
