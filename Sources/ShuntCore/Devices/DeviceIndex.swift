/// The devices of one loop, found by uid, device name, tag or alias without asking each.
///
/// A connection has one device, and each pair of uid and device name has one connection: the latest registration counts (§10.3, Q5). Costs
/// about 280 bytes for a device with two tags; tags that many devices have are kept once.
public struct DeviceIndex: Sendable {
    /// Earlier registrations that a new one has ended.
    public struct Displaced: Equatable, Sendable {
        /// The connection's own earlier registration, if it had another uid or device name.
        public var renamed: Device?
        /// The device of the same uid and device name on another connection, which is not a device any more.
        public var takenOver: Device?

        public static let none = Displaced(renamed: nil, takenOver: nil)
    }

    struct Entry: Sendable {
        var connection: ConnectionID
        var address: PeerAddress
        var connectedAt: Double
        var registeredAt: Double
        /// uid, device name, tags, aliases.
        var memberships: ContiguousArray<DeviceMembership>
        var tags: UInt16

        @inline(__always) var uid: UInt32 { memberships[0].term }
        @inline(__always) var device: UInt32 { memberships[1].term }

        func has(_ term: UInt32) -> Bool { memberships.contains { $0.term == term } }
    }

    private static let nobody = UInt32.max
    /// The device in each place; nil where the place is free.
    private(set) var entries: ContiguousArray<Entry?> = []
    private var free: ContiguousArray<UInt32> = []
    private(set) var terms = DeviceTerms()
    /// The place of each connection's device, by the connection's slot.
    private var places: ContiguousArray<UInt32> = []
    /// The place of each (uid, device).
    private var named: [UInt64: UInt32] = [:]

    public init() {}

    /// Registered devices.
    public var count: Int { named.count }

    // MARK: Changes

    /// Registers a device that has passed `Device.validate`. Registering again on the same connection replaces.
    public mutating func register(_ device: Device) -> Displaced {
        var displaced = Displaced.none
        if let previous = remove(device.connection), !Self.haveSameName(previous, device) { displaced.renamed = previous }
        if let place = place(uid: device.uid, device: device.device) { displaced.takenOver = remove(at: place) }
        insert(device)
        return displaced
    }

    /// The connection has gone.
    /// - Returns: its device; nil if it had none.
    @discardableResult
    public mutating func remove(_ connection: ConnectionID) -> Device? {
        guard let place = place(of: connection) else { return nil }
        return remove(at: place)
    }

    /// The same uid and device name has registered on another loop: the earlier one goes. If both registered at the same moment, the
    /// connection's number decides, so that two loops that tell one another agree on the one that stays.
    /// - Returns: the device that was removed; nil if it is not here, or registered later.
    public mutating func remove(uid: String, device: String, takenBy other: ConnectionID, at registeredAt: Double) -> Device? {
        guard let place = place(uid: uid, device: device), let entry = entries[Int(place)], entry.connection != other,
            (entry.registeredAt, entry.connection.raw) < (registeredAt, other.raw)
        else { return nil }
        return remove(at: place)
    }

    /// The same uid and device name has registered at another worker.
    /// - Parameter registeredUntil: microseconds since 1970; a device that registered later stays.
    /// - Returns: the device that was removed.
    public mutating func remove(uid: String, device: String, registeredUntil: Int64) -> Device? {
        guard let place = place(uid: uid, device: device), let entry = entries[Int(place)],
            Int64(entry.registeredAt * 1_000_000) <= registeredUntil
        else { return nil }
        return remove(at: place)
    }

    // MARK: Questions

    /// The device of a connection.
    public func device(of connection: ConnectionID) -> Device? { place(of: connection).flatMap(device(at:)) }

    /// Calls `body` with each device, in no order: the worker tells a new master all of them.
    public func forEach(_ body: (Device) -> Void) {
        for place in entries.indices { if let device = device(at: UInt32(place)) { body(device) } }
    }

    /// Appends the connections of the devices that a filter takes, each once, in no order.
    ///
    /// With a uid, a device name, tags or aliases to match, only the devices that have the rarest of these are looked at.
    public func matching(_ filter: DeviceFilter, into connections: inout ContiguousArray<ConnectionID>) {
        guard let query = DeviceQuery(filter, terms) else { return }
        switch query.source(terms) {
        case .all:
            for case let entry? in entries where query.accepts(entry) { connections.append(entry.connection) }
        case .one(let uid, let device):
            guard let place = named[Self.name(uid, device)], let entry = entries[Int(place)] else { return }
            if query.accepts(entry) { connections.append(entry.connection) }
        case .anyOf(let union):
            for (number, term) in union.enumerated() {
                terms.forEachPlace(of: term) { place in
                    // A device that has several of the terms is taken with the first of them.
                    guard let entry = entries[Int(place)], !union[..<number].contains(where: entry.has) else { return }
                    if query.accepts(entry) { connections.append(entry.connection) }
                }
            }
        }
    }

    // MARK: Places

    private func place(of connection: ConnectionID) -> UInt32? {
        guard connection.slot < places.count, case let place = places[connection.slot], place != Self.nobody,
            entries[Int(place)]?.connection == connection
        else { return nil }
        return place
    }

    private func place(uid: String, device: String) -> UInt32? {
        guard let uid = terms.find(.uid, uid), let device = terms.find(.device, device) else { return nil }
        return named[Self.name(uid, device)]
    }

    private static func name(_ uid: UInt32, _ device: UInt32) -> UInt64 { UInt64(uid) << 32 | UInt64(device) }

    private static func haveSameName(_ left: Device, _ right: Device) -> Bool {
        left.uid.utf8.elementsEqual(right.uid.utf8) && left.device.utf8.elementsEqual(right.device.utf8)
    }

    private mutating func insert(_ device: Device) {
        let slot = device.connection.slot
        // The slot has a new connection, and the device of its old one was not taken out yet.
        if slot < places.count, places[slot] != Self.nobody { remove(at: places[slot]) }
        let place = free.popLast() ?? UInt32(entries.count)
        if Int(place) == entries.count { entries.append(nil) }
        var memberships: ContiguousArray<DeviceMembership> = []
        memberships.reserveCapacity(2 + device.tags.count + device.alias.count)
        memberships.append(terms.enter(.uid, device.uid, place: place))
        memberships.append(terms.enter(.device, device.device, place: place))
        enter(.tag, device.tags, place, &memberships)
        let tags = memberships.count - 2
        enter(.alias, device.alias, place, &memberships)
        let entry = Entry(
            connection: device.connection, address: device.address, connectedAt: device.connectedAt,
            registeredAt: device.registeredAt, memberships: memberships, tags: UInt16(clamping: tags))
        named[Self.name(entry.uid, entry.device)] = place
        entries[Int(place)] = entry
        while places.count <= slot { places.append(Self.nobody) }
        places[slot] = place
    }

    private mutating func enter(
        _ field: DeviceTerms.Field, _ texts: [String], _ place: UInt32, _ memberships: inout ContiguousArray<DeviceMembership>
    ) {
        for text in texts {
            if let term = terms.find(field, text), memberships.contains(where: { $0.term == term }) { continue }
            memberships.append(terms.enter(field, text, place: place))
        }
    }

    @discardableResult
    private mutating func remove(at place: UInt32) -> Device? {
        guard let device = device(at: place), let entry = entries[Int(place)] else { return nil }
        named[Self.name(entry.uid, entry.device)] = nil
        for membership in entry.memberships {
            guard let moved = terms.leave(membership) else { continue }
            let number = entries[Int(moved)]?.memberships.firstIndex { $0.term == membership.term }
            if let number { entries[Int(moved)]?.memberships[number].position = membership.position }
        }
        entries[Int(place)] = nil
        places[entry.connection.slot] = Self.nobody
        free.append(place)
        return device
    }

    private func device(at place: UInt32) -> Device? {
        guard let entry = entries[Int(place)] else { return nil }
        let labels = 2 + Int(entry.tags)
        return Device(
            uid: terms.text(entry.uid), device: terms.text(entry.device),
            tags: entry.memberships[2..<labels].map { terms.text($0.term) },
            alias: entry.memberships[labels...].map { terms.text($0.term) }, connection: entry.connection,
            address: entry.address, connectedAt: entry.connectedAt, registeredAt: entry.registeredAt)
    }
}
