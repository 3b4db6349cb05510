import ShuntCore

/// Clients that operators have banned.
extension LoopEngine {
    /// From now on these are banned.
    /// - Parameter new: those among them that are new: their clients are closed.
    public func setBans(_ all: Bans, new: Bans, now: Double) {
        router.now = now
        bans = all
        guard !new.isEmpty else { return }
        for slot in clients.indices where clients[slot].state == .open && clients[slot].isAdmitted {
            let connection = ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)
            if ban(of: connection, in: new) != nil { close(connection, .accessBanned) }
        }
    }

    /// A client that shows who it says it is: nothing of that is checked yet.
    func refusal(of credentials: Credentials) -> ShuntError? {
        bans.ban(clientID: credentials.clientID, uid: credentials.user ?? "", address: credentials.address, now: now).map(refusal)
    }

    /// A client that is known.
    func refusal(of connection: ConnectionID) -> ShuntError? {
        guard !bans.isEmpty else { return nil }
        return ban(of: connection, in: bans).map(refusal)
    }

    /// A client that wants to be a device of a uid.
    func refusal(ofUID uid: String) -> ShuntError? {
        guard !bans.isEmpty else { return nil }
        return bans.ban(clientID: "", uid: uid, address: PeerAddress(), now: now).map(refusal)
    }

    private func ban(of connection: ConnectionID, in bans: Bans) -> Ban? {
        let client = clients[connection.slot]
        // The name of a device of the exchange protocol is no client identifier.
        let clientID = client.protocolName == .mqtt ? client.identity?.device ?? "" : ""
        return bans.ban(clientID: clientID, uid: client.identity?.uid ?? "", address: client.address, now: now)
    }

    /// The client is not told the operator's reason.
    private func refusal(_ ban: Ban) -> ShuntError {
        output.figures.banned += 1
        return ShuntError(.accessBanned, "this client is banned")
    }
}
