public import ExchangeCodec
import ShuntCore

/// Clients that operators have banned.
extension LoopEngine {
    /// The master has told these, in this order. Clients of new bans are closed.
    public func changeBans(_ told: [BansBody], now: Double) {
        router.now = now
        var new = Bans()
        for body in told {
            switch body {
            case .remove(let subjects):
                for subject in subjects {
                    _ = bans.remove(subject)
                    _ = new.remove(subject)
                }
            case .all(let told), .add(let told):
                if case .all = body { (bans, new) = (Bans(), Bans()) }
                // A master has no more than a worker may.
                for ban in told {
                    try? bans.add(ban)
                    try? new.add(ban)
                }
            }
        }
        guard !new.isEmpty else { return }
        for slot in clients.indices where clients[slot].state == .open && clients[slot].isAdmitted {
            let connection = ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)
            if ban(of: connection, in: new) != nil { close(connection, .accessBanned) }
        }
    }

    /// Bans that are over take no memory.
    func expireBans() {
        guard !bans.isEmpty, abs(now - bansSeenAt) >= 60 else { return }
        bansSeenAt = now
        _ = bans.expire(now: now)
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
        return bans.ban(clientID: clientID(of: connection), uid: client.identity?.uid ?? "", address: client.address, now: now)
    }

    /// The client is not told the operator's reason.
    private func refusal(_ ban: Ban) -> ShuntError {
        output.figures.banned += 1
        return ShuntError(.accessBanned, AccessRefusal.banned)
    }
}
