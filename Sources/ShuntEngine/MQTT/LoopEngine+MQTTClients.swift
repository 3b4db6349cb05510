import ShuntCore

/// Clients of MQTT as the whole worker knows them: one a client identifier, and none that has been silent for too long.
extension LoopEngine {
    /// A client has said who it is: another one of the same identifier is closed, on whatever loop it is (MQTT-3.1.4-2).
    func greeted(_ clientID: String, _ connection: ConnectionID) {
        if let old = mqttClients.updateValue((connection, now), forKey: ExactText(clientID)) { close(old.connection, .sessionReplaced) }
        output.tell(.greeted(clientID: clientID, connection, at: now))
    }

    /// The same on another loop. Of two that greet at once, the later one stays.
    func takenOver(_ clientID: ExactText, by connection: ConnectionID, at greetedAt: Double) {
        guard let own = mqttClients[clientID], (own.at, own.connection.raw) < (greetedAt, connection.raw) else { return }
        mqttClients[clientID] = nil
        close(own.connection, .sessionReplaced)
    }

    /// Times are kept in eighths of a second; differences stay right when the count wraps.
    static func eighths(_ seconds: Double) -> UInt32 { UInt32(truncatingIfNeeded: UInt64(max(0, seconds) * 8)) }

    /// Closes clients that have sent nothing for one and a half times their keep alive (MQTT-3.1.2-24). Each tick looks at a tenth of all.
    /// A client that is held may have sent what has not been read.
    func closeSilent() {
        guard !clients.isEmpty else { return }
        let time = Self.eighths(now)
        for _ in 0..<(clients.count / 10 + 1) {
            silenceAt = silenceAt + 1 < clients.count ? silenceAt + 1 : 0
            let client = silenceAt
            guard clients[client].keepAlive > 0, clients[client].state == .open, !clients[client].isHeld else { continue }
            guard time &- clients[client].heardAt > UInt32(clients[client].keepAlive) * 12 else { continue }
            close(ConnectionID(loop: loop, slot: UInt32(client), generation: clients[client].generation), .keepAlive)
        }
    }

    /// The clock was set, or the process stood still: what clients have sent meanwhile has not been read.
    func forgiveSilence() {
        let time = Self.eighths(now)
        for client in clients.indices { clients[client].heardAt = time }
    }
}
