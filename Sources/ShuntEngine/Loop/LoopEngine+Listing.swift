import ShuntCore

/// What of a loop is in the worker's directory of sessions.
struct SessionListing {
    var directory: SessionDirectory?
    /// Whether a rule asks for sessions.
    var isOn = false
    /// By the id of the connection, or of the session that outlives it.
    var listed: [ConnectionID: ListedSession] = [:]
    /// While the loop lists the clients that were there before, or takes them out: the next place in the table of clients, and behind it in
    /// the table of sessions.
    var at: Int?
}

/// A loop lists its clients and sessions while a rule asks for them, so that rules of all loops find them.
extension LoopEngine {
    /// Where the loops of a worker list their clients. Set it before the rules.
    public var sessionDirectory: SessionDirectory? {
        get { listing.directory }
        set { listing.directory = newValue }
    }

    /// Clients that the loop looks at in a turn when listing is switched on or off.
    static let listedInTurn = 1000

    /// The rules are others.
    func switchListing() {
        let isOn = listing.directory != nil && hooks?.wanted.contains(.sessions) == true
        guard isOn != listing.isOn else { return }
        listing.isOn = isOn
        listing.at = 0
    }

    /// Lists, or takes out, some of the clients that were there when the rules changed.
    /// - Returns: whether there are more.
    func goOnListing() -> Bool {
        guard let start = listing.at else { return false }
        let all = clients.count + sessions.slots
        let end = min(start + Self.listedInTurn, all)
        for place in start..<end {
            let id: ConnectionID
            if place < clients.count {
                id = ConnectionID(loop: loop, slot: UInt32(place), generation: clients[place].generation)
            } else {
                guard let session = sessions.session(at: place - clients.count) else { continue }
                id = session.id
            }
            if !listing.isOn { unlist(id) } else if id.isSession { listAway(id) } else { list(id) }
        }
        guard end == all else {
            listing.at = end
            return true
        }
        listing.at = nil
        if !listing.isOn { listing.listed = [:] }
        return false
    }

    /// A client is in, or is another one than before.
    func list(_ connection: ConnectionID) {
        noteClient(connection)
        guard listing.isOn, isCurrent(connection), clients[connection.slot].isAdmitted, let identity = clients[connection.slot].identity else {
            return
        }
        let client = clients[connection.slot]
        list(
            subscriber(of: connection),
            ListedSession(
                uid: identity.uid, device: identity.device, tags: identity.tags, alias: identity.alias, connection: connection,
                address: client.address, connectedAt: client.connectedAt, loop: loop, clientID: client.protocolName == .mqtt ? identity.name : nil))
    }

    /// A session's client is away.
    func listAway(_ id: ConnectionID) {
        guard listing.isOn, let session = sessions[id], !session.isConnected else { return }
        listAway(session)
    }

    private func listAway(_ session: MQTTSession) {
        let identity = session.identity
        list(
            session.id,
            ListedSession(
                uid: identity.uid, device: session.clientID, tags: identity.tags, alias: identity.alias, connection: .none, loop: loop,
                clientID: session.clientID))
    }

    /// Takes a client of MQTT that goes out of the list, or lists its session as away. Call it before the rules hear of it.
    func listLeaving(_ connection: ConnectionID, _ session: MQTTSession?) {
        noteClient(session?.id ?? connection)
        guard listing.isOn, let session, session.isLasting, session.expiry > 0 else { return unlist(session?.id ?? connection) }
        listAway(session)
    }

    /// It has gone.
    func unlist(_ id: ConnectionID) {
        guard !listing.listed.isEmpty, let old = listing.listed.removeValue(forKey: id) else { return }
        listing.directory?.remove(old)
    }

    /// Nobody looks for clients without a uid.
    private func list(_ id: ConnectionID, _ new: ListedSession) {
        guard !new.uid.isEmpty else { return unlist(id) }
        listing.directory?.list(new, inPlaceOf: listing.listed.updateValue(new, forKey: id))
    }
}
