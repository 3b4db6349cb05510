import ShuntCore

/// Messages of QoS 2 for the worker itself that wait: a rule looks something up, or the master is asked for their chat.
///
/// Their packet identifiers are among those that the session has received, so that none is served twice. If the client goes before it is
/// decided, nothing comes of them: then the session forgets the identifiers, and the client's next connection sends the messages again.
extension LoopEngine {
    /// A message waits.
    func leaveUndecided(_ receipt: Receipt, _ connection: ConnectionID) {
        guard case .mqtt(.publishReceived, let identifier) = receipt, isCurrent(connection), clients[connection.slot].isAdmitted else { return }
        undecided[connection, default: []].insert(identifier)
    }

    func isUndecided(_ identifier: UInt16, _ connection: ConnectionID) -> Bool {
        !undecided.isEmpty && undecided[connection]?.contains(identifier) == true
    }

    /// A message is about to be answered.
    func settle(_ receipt: Receipt, _ connection: ConnectionID) {
        guard !undecided.isEmpty, case .mqtt(.publishReceived, let identifier) = receipt else { return }
        undecided[connection]?.remove(identifier)
        if undecided[connection]?.isEmpty == true { undecided[connection] = nil }
    }

    /// The client has gone.
    func forgetUndecided(of connection: ConnectionID, _ session: MQTTSession?) {
        guard !undecided.isEmpty, let identifiers = undecided.removeValue(forKey: connection) else { return }
        for identifier in identifiers { _ = session?.received.remove(identifier) }
        // What waits for a chat goes now: the client may be back, and say it again, before this connection is closed.
        if clients[connection.slot].isInChat { leaveChats(connection) }
    }
}
