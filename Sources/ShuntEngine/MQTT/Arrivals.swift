import ShuntCore

/// The order in which clients of one identifier have come, as long as it is not decided whether some of them are let in: the one that came last
/// takes over (MQTT-3.1.4-3), whichever decision comes first.
struct Arrivals {
    /// By client identifier, those that wait.
    private var waiting: [ExactText: [ConnectionID]] = [:]
    private var overtaken: Set<ConnectionID> = []

    var isEmpty: Bool { waiting.isEmpty && overtaken.isEmpty }

    /// A client has come, and waits.
    mutating func wait(_ client: ConnectionID, as clientID: String) {
        let name = ExactText(clientID)
        if waiting[name]?.contains(client) != true { waiting[name, default: []].append(client) }
    }

    /// A client is let in: it has overtaken those that came before it.
    mutating func enter(_ client: ConnectionID, as clientID: String) {
        guard !waiting.isEmpty, let clients = waiting.removeValue(forKey: ExactText(clientID)) else { return }
        let place = clients.firstIndex(of: client) ?? clients.endIndex
        overtaken.formUnion(clients[..<place])
        let later = Array(clients[place...].dropFirst())
        if !later.isEmpty { waiting[ExactText(clientID)] = later }
    }

    /// Whether one of its identifier that came later is in already.
    func isOvertaken(_ client: ConnectionID) -> Bool { !overtaken.isEmpty && overtaken.contains(client) }

    /// A client has gone.
    mutating func leave(_ client: ConnectionID, as clientID: String) {
        overtaken.remove(client)
        let name = ExactText(clientID)
        waiting[name]?.removeAll { $0 == client }
        if waiting[name]?.isEmpty == true { waiting[name] = nil }
    }
}
