import ShuntCore

/// Clients of MQTT as the whole worker knows them: one a client identifier, and none that has been silent for too long.
extension LoopEngine {
    /// A client has said who it is: another one of the same identifier is closed, on whatever loop it is (MQTT-3.1.4-2).
    func greeted(_ clientID: String, _ connection: ConnectionID) {
        replace(clientID)
        clients[connection.slot].identity?.greetedAt = now
        mqttClients.insert(Self.hash(clientID), UInt32(connection.slot)) { [clients] in
            Self.hash(clients[Int($0)].identity?.device ?? "")
        }
        output.tell(.greeted(clientID: clientID, connection, at: now))
    }

    /// The same on another loop. Of two that greet at once, the later one stays.
    func takenOver(_ clientID: String, by connection: ConnectionID, at greetedAt: Double) {
        guard let own = mqttClient(clientID), let ownGreeting = clients[own.slot].identity?.greetedAt,
            (ownGreeting, own.raw) < (greetedAt, connection.raw)
        else { return }
        replace(clientID)
    }

    private func replace(_ clientID: String) {
        guard let old = mqttClient(clientID) else { return }
        forget(clientID, old)
        close(old, .sessionReplaced)
    }

    /// A client has gone, or has given its place to another.
    func forget(_ clientID: String, _ connection: ConnectionID) {
        guard mqttClient(clientID) == connection else { return }
        mqttClients.remove(Self.hash(clientID), UInt32(connection.slot))
    }

    /// The connected client of this loop with an identifier.
    private func mqttClient(_ clientID: String) -> ConnectionID? {
        let slot = mqttClients.find(Self.hash(clientID)) { slot in
            clients[Int(slot)].identity?.device.utf8.elementsEqual(clientID.utf8) ?? false
        }
        return slot.map { ConnectionID(loop: loop, slot: $0, generation: clients[Int($0)].generation) }
    }

    private static func hash(_ clientID: String) -> UInt32 { withBytes(clientID) { ByteHash.of($0) } }

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

    /// The driver does not read from a client: its silence does not count.
    public func isUnread(_ connection: ConnectionID, now: Double) {
        if isCurrent(connection) { clients[connection.slot].heardAt = Self.eighths(now) }
    }

    /// The clock was set, or the process stood still: what clients have sent meanwhile has not been read.
    func forgiveSilence() {
        let time = Self.eighths(now)
        for client in clients.indices { clients[client].heardAt = time }
    }
}
