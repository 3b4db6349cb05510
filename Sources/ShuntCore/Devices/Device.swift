/// A registered connection: what a broadcast's filter looks at, and how to reach it (exchange protocol §9.4).
public struct Device: Equatable, Sendable {
    /// The user. With `device` it names the device; not empty.
    public var uid: String
    public var device: String
    /// In no order, each once.
    public var tags: [String]
    public var alias: [String]
    public var connection: ConnectionID
    public var address: PeerAddress
    /// Seconds since 1970 when the connection was opened.
    public var connectedAt: Double
    /// Seconds since 1970 of the registration: of two with one name, the later one is the device.
    public var registeredAt: Double

    public init(
        uid: String, device: String, tags: [String] = [], alias: [String] = [], connection: ConnectionID,
        address: PeerAddress = .init(), connectedAt: Double, registeredAt: Double
    ) {
        self.uid = uid
        self.device = device
        self.tags = tags
        self.alias = alias
        self.connection = connection
        self.address = address
        self.connectedAt = connectedAt
        self.registeredAt = registeredAt
    }

    /// - Throws: `device.invalid` with what is missing or too large.
    public func validate(_ limits: DeviceLimits = .init()) throws(ShuntError) {
        for (field, text) in [("uid", uid), ("device", device)] {
            try limits.check(text, "a device's \(field)", .deviceInvalid)
        }
        for (field, texts) in [("tags", tags), ("alias", alias)] {
            guard texts.count <= limits.labels else {
                throw ShuntError(.deviceInvalid, "the device has \(texts.count) \(field)", help: "at most \(limits.labels)")
            }
            for text in texts { try limits.check(text, "an element of \(field)", .deviceInvalid) }
        }
    }
}
