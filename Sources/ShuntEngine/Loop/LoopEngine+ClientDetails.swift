import ShuntCore

/// What operators ask of one client, and the end that they make of it.
extension LoopEngine {
    /// What this loop knows of the clients that are meant.
    public func describe(_ question: ClientQuestion) -> ClientDetailsRecord {
        let ids = meant(by: question)
        let limit = min(max(0, question.subscriptions ?? ClientQuestion.usualSubscriptions), ClientQuestion.maximumSubscriptions)
        return ClientDetailsRecord(clients: ids.prefix(ClientQuestion.maximumClients).compactMap { detail(of: $0, limit) }, total: ids.count)
    }

    /// Goes on with a census of this worker's subscriptions.
    public func look(_ census: inout IndexCensus) { router.index.look(&census) }

    /// Goes on with a census of this loop's topics.
    public func look(_ census: inout TopicCensus) { router.index.look(&census) }

    /// What this loop has counted of some topics.
    public func loads(of topics: [[UInt8]]) -> [[UInt8]: TopicLoad] { router.index.loads(of: topics) }

    /// The connection of a client that `describe` has told of; nil while it is away.
    public func connection(ofClient id: ConnectionID) -> ConnectionID? { connection(of: id) }

    /// Closes the clients that are meant, and ends their sessions if that is asked for. A client that connects by one of their names after this
    /// finds it free.
    public func kick(_ question: ClientQuestion, now: Double) -> KickedRecord {
        router.now = now
        var kicked = KickedRecord()
        for id in meant(by: question) {
            let connection = connection(of: id)
            if let connection, isCurrent(connection), clients[connection.slot].state == .open {
                kicked.closed += 1
                close(connection, .clientKicked)
                if clients[connection.slot].protocolName == .mqtt { leave(connection, why: ErrorCode.clientKicked.rawValue) }
                noteClient(id)
            }
            guard question.endsSession == true, let session = sessions[id], !session.isConnected else { continue }
            kicked.ended += 1
            end(session, why: .sessionEnded)
        }
        return kicked
    }

    /// The connections, and the sessions that outlive them, that an operator means.
    private func meant(by question: ClientQuestion) -> [ConnectionID] {
        if question.session != nil {
            guard let id = question.sessionID, id.loop == loop, let told = told(id), question.isMeant(speaking: told.speaks.name) else { return [] }
            return [id]
        }
        guard let name = question.client else { return [] }
        var found: [ConnectionID] = []
        switch sessions.holder(of: name, loop, clients) {
        case .client(let connection)?: found.append(connection)
        case .session(let session)?: found.append(session.id)
        case nil: break
        }
        matching.removeAll(keepingCapacity: true)
        devices.matching(DeviceFilter(device: name), into: &matching)
        for connection in matching where isCurrent(connection) && clients[connection.slot].protocolName == .exchange { found.append(connection) }
        return found.filter { told($0).map { question.isMeant(speaking: $0.speaks.name) } ?? false }
    }

    private func detail(of id: ConnectionID, _ limit: Int) -> ClientDetail? {
        guard let told = told(id) else { return nil }
        var detail = ClientDetail(
            session: id.description, client: told.client, uid: told.uid, protocolName: told.speaks.name, state: told.isAway ? .away : .connected,
            since: Double(told.since) / 1000, subscriptionCount: Int(told.subscriptions))
        if let connection = connection(of: id) {
            let client = clients[connection.slot]
            detail.address = client.address.description
            detail.device = client.isDevice
            detail.held = client.isHeld
            detail.pressure = client.pressure.name
            if client.protocolName == .mqtt { detail.keepAlive = Int(client.keepAlive) }
        }
        let session = session(of: id)
        let identity = session?.identity ?? connection(of: id).flatMap { clients[$0.slot].identity }
        (detail.tags, detail.alias) = (identity?.tags ?? [], identity?.alias ?? [])
        detail.willTopic = (session?.will ?? identity?.will).map { String(decoding: $0.topic, as: UTF8.self) }
        if let session { describe(session, &detail) }
        detail.subscriptions = router.index.newestSubscriptions(of: id, limit: limit).map {
            .init(filter: $0.filter, group: $0.group.utf8.first == 0 ? nil : $0.group, key: $0.key, qos: Int($0.terms.qos.rawValue))
        }
        return detail
    }

    private func describe(_ session: MQTTSession, _ detail: inout ClientDetail) {
        detail.lasting = session.isLasting
        if session.isLasting, session.expiry < .max { detail.sessionExpiry = Int(session.expiry) }
        if !session.isConnected, session.endsAt < .infinity { detail.endsAt = session.endsAt }
        (detail.inflight, detail.receiveMaximum) = (session.window.count, session.receiveMaximum)
        (detail.queued, detail.queuedBytes) = (session.waiting.count, session.waitingBytes)
    }
}

extension ConsumerPressure {
    /// As operators are told.
    var name: String {
        switch self {
        case .none: "none"
        case .congested: "congested"
        case .stuck: "stuck"
        case .absent: "away"
        }
    }
}
