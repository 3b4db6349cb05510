import ShuntCore

/// Whom this loop has refused, for operators who ask. What is decided about passwords and the like is noted by those who decide it.
extension LoopEngine {
    /// Clients that were refused since; nil where there are none. The driver asks at each tick.
    public func takeRefused() -> RefusedClients? { refused.isEmpty ? nil : refused.take() }

    /// A client is not let in. One that is sent to another worker is not refused.
    func noteRefused(_ connection: ConnectionID, _ error: ShuntError) {
        switch error.code {
        case .accessBanned: noteRefused(connection, "banned")
        case .accessCredentials: noteRefused(connection, "anonymous")
        case .ruleRejected:
            let rule = rulesState.refusals[connection]?.rule ?? hooks?.refusing
            noteRefused(connection, rule.map { "rule \($0)" } ?? "rule")
        default: break
        }
    }

    /// - Parameter user: what the client has said; nil: what is known of it, where its listener asks: the name of a client of MQTT may
    ///   else be its identifier.
    func noteRefused(_ connection: ConnectionID, _ reason: String, user: String? = nil) {
        let client = clients[connection.slot]
        // Behind the listeners stand the same ones again, for the clients whom the worker has no room for.
        let listener = access.isEmpty ? Int(client.listener) : Int(client.listener) % access.count
        let known = client.identity.flatMap { $0.access.map { $0.admitted.uid } ?? $0.uid }
        refused.note(.init(address: client.address, user: user ?? known ?? "", reason: reason, listener: listener), now: now)
    }

    /// A client has asked for what it may not do.
    func noteDenied(_ connection: ConnectionID) { noteRefused(connection, "rights") }
}
