import ShuntCore

/// Messages of QoS 2 for the worker itself that wait: a rule looks something up, or the master is asked for their chat.
///
/// Their packet identifiers are among those that the session has received, so that none is served twice. If the client goes before it is
/// decided, nothing comes of them: then the session forgets the identifiers, and the client's next connection sends the messages again.
extension LoopEngine {
    /// A message waits.
    func leaveUndecided(_ receipt: Receipt, _ connection: ConnectionID) {
        guard case .mqtt(.publishReceived, let identifier) = receipt, isCurrent(connection), clients[connection.slot].isAdmitted else { return }
        undecidedMessages[connection, default: []].insert(identifier)
    }

    func isUndecided(_ identifier: UInt16, _ connection: ConnectionID) -> Bool {
        !undecidedMessages.isEmpty && undecidedMessages[connection]?.contains(identifier) == true
    }

    /// A message is about to be answered.
    func settle(_ receipt: Receipt, _ connection: ConnectionID) {
        guard !undecidedMessages.isEmpty, case .mqtt(.publishReceived, let identifier) = receipt else { return }
        undecidedMessages[connection]?.remove(identifier)
        if undecidedMessages[connection]?.isEmpty == true { undecidedMessages[connection] = nil }
    }

    /// The client has gone.
    func forgetUndecided(of connection: ConnectionID, _ session: MQTTSession?) {
        guard !undecidedMessages.isEmpty, let identifiers = undecidedMessages.removeValue(forKey: connection) else { return }
        for identifier in identifiers { _ = session?.received.remove(identifier) }
        // What waits for a chat goes now: the client may be back, and say it again, before this connection is closed.
        if clients[connection.slot].isInChat { leaveChats(connection) }
    }
}
