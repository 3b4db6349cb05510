import ShuntCore

/// The clients of MQTT that are at home on a loop: one a client identifier, connected or away.
struct SessionTable {
    /// Who has a client identifier.
    enum Holder {
        /// A connection whose session ends with it.
        case client(ConnectionID)
        case session(MQTTSession)
    }

    /// The sessions that outlive their connections, by the slots in their ids.
    private var lasting: ContiguousArray<MQTTSession?> = []
    private var generations: ContiguousArray<UInt32> = []
    private var free: ContiguousArray<UInt32> = []
    /// Slots of connections, and of lasting sessions with the highest bit set, by client identifier.
    private var holders = ByteTable()
    /// When sessions whose client is away end, and when wills are published whose delay has passed. An entry counts while the session still has
    /// that time: its client may have come back, and gone again.
    private var ends = Deadlines<ConnectionID>()
    private(set) var wills = Deadlines<ConnectionID>()
    /// Lasting sessions, and those of them whose client is away.
    private(set) var count = 0
    private(set) var absent = 0

    private static let lastingBit: UInt32 = 1 << 31

    subscript(id: ConnectionID) -> MQTTSession? {
        let slot = id.sessionSlot
        guard id.isSession, slot < lasting.count, generations[slot] == id.generation else { return nil }
        return lasting[slot]
    }

    /// The places of lasting sessions, those that are free among them.
    var slots: Int { lasting.count }
    func session(at slot: Int) -> MQTTSession? { lasting[slot] }

    /// Calls `body` for each lasting session.
    func forEach(_ body: (MQTTSession) -> Void) { for case let session? in lasting { body(session) } }

    // MARK: Client identifiers

    /// - Parameter clients: the loop's.
    func holder(of clientID: String, _ loop: UInt8, _ clients: ContiguousArray<Client>) -> Holder? {
        let found = holders.find(Self.hash(clientID)) { Self.isEqual(name($0, clients), clientID) }
        guard let found else { return nil }
        if found & Self.lastingBit != 0 { return lasting[Int(found & ~Self.lastingBit)].map { .session($0) } }
        return .client(ConnectionID(loop: loop, slot: found, generation: clients[Int(found)].generation))
    }

    mutating func enter(_ clientID: String, _ connection: ConnectionID, _ clients: ContiguousArray<Client>) {
        insert(clientID, UInt32(connection.slot), clients)
    }

    mutating func remove(_ clientID: String, _ connection: ConnectionID) { holders.remove(Self.hash(clientID), UInt32(connection.slot)) }

    private mutating func insert(_ clientID: String, _ number: UInt32, _ clients: ContiguousArray<Client>) {
        holders.insert(Self.hash(clientID), number) { [lasting] number in
            if number & Self.lastingBit != 0 { return Self.hash(lasting[Int(number & ~Self.lastingBit)]?.clientID ?? "") }
            return Self.hash(clients[Int(number)].identity?.name ?? "")
        }
    }

    private func name(_ number: UInt32, _ clients: ContiguousArray<Client>) -> String {
        if number & Self.lastingBit != 0 { return lasting[Int(number & ~Self.lastingBit)]?.clientID ?? "" }
        return clients[Int(number)].identity?.name ?? ""
    }

    /// By bytes: two spellings of one letter are two identifiers.
    private static func isEqual(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }

    static func hash(_ clientID: String) -> UInt32 { LoopEngine.withBytes(clientID) { ByteHash.of($0) } }

    /// The loop that a client is at home on.
    static func home(of clientID: String, loops: Int) -> Int { loops > 1 ? Int(hash(clientID)) % loops : 0 }

    // MARK: Lasting sessions

    /// The id of the next lasting session.
    mutating func nextID(_ loop: UInt8) -> ConnectionID {
        let slot: UInt32
        if let reused = free.popLast() {
            slot = reused
        } else {
            slot = UInt32(lasting.count)
            lasting.append(nil)
            generations.append(0)
        }
        return ConnectionID(loop: loop, session: slot, generation: generations[Int(slot)])
    }

    mutating func enter(_ session: MQTTSession, _ clients: ContiguousArray<Client>) {
        lasting[session.id.sessionSlot] = session
        count += 1
        insert(session.clientID, UInt32(session.id.sessionSlot) | Self.lastingBit, clients)
    }

    mutating func remove(_ session: MQTTSession) {
        let slot = session.id.sessionSlot
        guard lasting[slot] === session else { return }
        if !session.isConnected { absent -= 1 }
        holders.remove(Self.hash(session.clientID), UInt32(slot) | Self.lastingBit)
        lasting[slot] = nil
        generations[slot] &+= 1
        free.append(UInt32(slot))
        count -= 1
    }

    /// A lasting session's client has gone. `endsAt` and `willAt` are set.
    mutating func left(_ session: MQTTSession) {
        absent += 1
        insert(session, at: \.endsAt, into: \.ends)
        insert(session, at: \.willAt, into: \.wills)
    }

    /// The client has come back.
    mutating func returned(_ session: MQTTSession) {
        absent -= 1
        (session.endsAt, session.willAt) = (.infinity, .infinity)
    }

    private mutating func insert(
        _ session: MQTTSession, at time: KeyPath<MQTTSession, Double>, into deadlines: WritableKeyPath<Self, Deadlines<ConnectionID>>
    ) {
        guard session[keyPath: time] < .infinity else { return }
        if self[keyPath: deadlines].count > 64 + absent * 2 {
            self[keyPath: deadlines].keep { [lasting] at, id in
                guard let session = lasting[id.sessionSlot], session.id == id else { return false }
                return session[keyPath: time] == at
            }
        }
        self[keyPath: deadlines].insert(session.id, at: session[keyPath: time])
    }

    /// The session of the first entry that counts, if its time has come.
    private mutating func pop(
        until now: Double, at time: KeyPath<MQTTSession, Double>, from deadlines: WritableKeyPath<Self, Deadlines<ConnectionID>>
    ) -> MQTTSession? {
        while let first = self[keyPath: deadlines].first, first.at <= now {
            _ = self[keyPath: deadlines].popFirst()
            if let session = self[first.element], session[keyPath: time] == first.at { return session }
        }
        return nil
    }

    /// When the next session ends, or the next will's delay is over; a time may be one that no longer counts.
    var nextTime: Double { min(ends.first?.at ?? .infinity, wills.first?.at ?? .infinity) }

    /// The next session whose will is to be published, as its client has not come back in time.
    mutating func popWill(now: Double) -> MQTTSession? { pop(until: now, at: \.willAt, from: \.wills) }

    /// The next session whose client has stayed away for too long.
    mutating func popEnded(now: Double) -> MQTTSession? { pop(until: now, at: \.endsAt, from: \.ends) }

    /// The session that would end first; one that never ends, where all others are connected.
    mutating func popFirstToEnd() -> MQTTSession? {
        if let first = pop(until: .infinity, at: \.endsAt, from: \.ends) { return first }
        guard absent > 0 else { return nil }
        return lasting.lazy.compactMap { $0 }.first { !$0.isConnected }
    }

    var all: some Sequence<MQTTSession> { lasting.lazy.compactMap { $0 } }
}
