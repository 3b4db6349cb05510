public import ExchangeCodec
import ShuntCore

/// What a loop is still to tell the master of its clients: their ids alone, so that a client that comes and goes many times takes 16 bytes.
struct ClientNews {
    /// Whether a master wants to know.
    var isOn = false
    /// Clients that have changed, connections or sessions that outlive them.
    var changed: Set<ConnectionID> = []
    /// Clients whose changes the loop is handing to the control loop at this moment.
    var taken: [ConnectionID] = []
    /// While the loop lists all: the next place in the table of clients, and behind it in the table of sessions.
    var at: Int?
    /// The control loop knows that there is something.
    var isAnnounced = false
    /// Changes were forgotten.
    var isIncomplete = false

    /// Ids that are kept besides those of clients that are there.
    static let capacity = 100_000
}

/// Some of what a loop has to tell of its clients.
public struct ClientPortion: Equatable, Sendable {
    public var clients: [ClientReportBody.Client] = []
    public var gone: [ConnectionID] = []
    /// The loop has more.
    public var hasMore = false
    /// The loop has told all that it had when the list began.
    public var isListed = false
    /// The loop has forgotten changes, and tells nothing before the next list begins.
    public var isIncomplete = false

    public init() {}
}

/// The master's registry lists all clients: a loop notes which have changed, and tells what they are when it is asked.
extension LoopEngine {
    /// Places of the tables that one portion looks at.
    private static let looked = 1000
    /// Clients and bytes of one portion: a frame of about 16 KiB.
    static let portion = (clients: 200, bytes: 14 << 10)

    /// A master wants to know all clients, and what changes.
    public func beginClientNews() {
        clientNews = ClientNews()
        (clientNews.isOn, clientNews.at) = (true, 0)
    }

    /// No master is there to be told.
    public func endClientNews() { clientNews = ClientNews() }

    /// A client has come, has gone, or is another one than before.
    /// - Parameter id: its connection or its session.
    func noteClient(_ id: ConnectionID) {
        guard clientNews.isOn else { return }
        note(id)
    }

    @inline(never)
    private func note(_ id: ConnectionID) {
        let known = id.isSession || !isCurrent(id) ? id : subscriber(of: id)
        clientNews.changed.insert(known)
        guard clientNews.changed.count > ClientNews.capacity + clients.count + sessions.count else { return }
        clientNews = ClientNews()
        clientNews.isIncomplete = true
    }

    /// Tells the control loop once that there is something.
    func announceClientNews() {
        guard !clientNews.isAnnounced, clientNews.isIncomplete || !clientNews.changed.isEmpty else { return }
        clientNews.isAnnounced = true
        output.news.append(.clientsChanged)
    }

    /// The next of what is to be told: changes first, then the list of all.
    public func takeClients() -> ClientPortion {
        var portion = ClientPortion()
        guard !clientNews.isIncomplete else {
            clientNews = ClientNews()
            portion.isIncomplete = true
            return portion
        }
        guard clientNews.isOn else { return portion }
        var bytes = 0
        if clientNews.taken.isEmpty {
            clientNews.taken = Array(clientNews.changed)
            clientNews.changed.removeAll(keepingCapacity: clientNews.changed.count < 1000)
        }
        while portion.count < Self.portion.clients, bytes < Self.portion.bytes, let id = clientNews.taken.popLast() {
            bytes += tell(id, &portion)
        }
        if let start = clientNews.at { list(from: start, bytes, &portion) }
        portion.isListed = clientNews.at == nil
        // What has changed meanwhile gathers until the next tick.
        portion.hasMore = !portion.isListed || !clientNews.taken.isEmpty
        clientNews.isAnnounced = portion.hasMore
        return portion
    }

    /// Clients that were there when the list began, and those that have come into their places.
    private func list(from start: Int, _ told: Int, _ portion: inout ClientPortion) {
        var (place, bytes) = (start, told)
        let end = min(start + Self.looked, clients.count + sessions.slots)
        while place < end, portion.count < Self.portion.clients, bytes < Self.portion.bytes {
            defer { place += 1 }
            if place < clients.count {
                guard clients[place].state == .open, clients[place].isAdmitted else { continue }
                let id = ConnectionID(loop: loop, slot: UInt32(place), generation: clients[place].generation)
                // A session that outlives the connection is in the other table.
                guard subscriber(of: id) == id else { continue }
                bytes += tell(id, &portion)
            } else if let session = sessions.session(at: place - clients.count) {
                bytes += tell(session.id, &portion)
            }
        }
        clientNews.at = place < clients.count + sessions.slots ? place : nil
    }

    /// - Returns: the bytes that it takes.
    private func tell(_ id: ConnectionID, _ portion: inout ClientPortion) -> Int {
        guard let client = told(id) else {
            portion.gone.append(id)
            return 8
        }
        portion.clients.append(client)
        return client.size
    }

    /// What the master is told of a client; nil where it is not there.
    func told(_ id: ConnectionID) -> ClientReportBody.Client? {
        guard id.isSession else {
            // One that is to be closed is gone, however long its last bytes take.
            guard isCurrent(id), clients[id.slot].isAdmitted, clients[id.slot].state == .open, subscriber(of: id) == id else { return nil }
            return told(id, by: id)
        }
        guard let session = sessions[id] else { return nil }
        guard !session.isConnected else { return told(id, by: session.client) }
        return .init(
            session: id, client: session.clientID, uid: session.identity.uid, speaks: session.version.hasProperties ? .mqtt5 : .mqtt3,
            isAway: true, since: Int64(session.awaySince * 1000), subscriptions: session.subscriptions)
    }

    private func told(_ id: ConnectionID, by connection: ConnectionID) -> ClientReportBody.Client? {
        guard isCurrent(connection) else { return nil }
        let client = clients[connection.slot]
        return .init(
            session: id, client: client.identity?.name ?? "", uid: client.identity?.uid ?? "",
            speaks: client.protocolName == .exchange ? .exchange : client.version.hasProperties ? .mqtt5 : .mqtt3, listener: client.listener,
            address: client.address, since: Int64(client.connectedAt * 1000), subscriptions: client.subscriptions)
    }
}

extension ClientPortion {
    var count: Int { clients.count + gone.count }
}
