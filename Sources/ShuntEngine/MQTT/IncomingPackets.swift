/// The packet identifiers of messages of QoS 2 that a client has sent and not yet released (5.0 §4.3.3, method A: the message is routed when it
/// comes first).
struct IncomingPackets {
    private var identifiers: ContiguousArray<UInt16> = []

    var count: Int { identifiers.count }

    func contains(_ identifier: UInt16) -> Bool { identifiers.contains(identifier) }

    mutating func insert(_ identifier: UInt16) { identifiers.append(identifier) }

    /// PUBREL.
    /// - Returns: false where the identifier is not known.
    mutating func remove(_ identifier: UInt16) -> Bool {
        guard let place = identifiers.firstIndex(of: identifier) else { return false }
        identifiers.remove(at: place)
        return true
    }
}
