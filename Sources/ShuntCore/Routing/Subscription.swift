/// A subscription's name, unique in the worker and rising with the time of joining, whichever loop it joined on:
/// microseconds since 1970, then the loop.
public struct SubscriptionID: Hashable, Comparable, Sendable {
    public let raw: UInt64

    public init(raw: UInt64) { self.raw = raw }

    public init(microseconds: UInt64, loop: UInt8) { raw = microseconds << 8 | UInt64(loop) }

    public static func < (left: Self, right: Self) -> Bool { left.raw < right.raw }
}

/// A subscription as every loop of the worker knows it.
public struct Subscription: Equatable, Sendable {
    public var id: SubscriptionID
    public var connection: ConnectionID
    /// A topic, or an MQTT topic filter.
    public var filter: String
    public var group: String
    /// nil takes every key.
    public var key: String?
    public var terms: DeliveryTerms

    public init(
        id: SubscriptionID, connection: ConnectionID, filter: String, group: String, key: String? = nil, terms: DeliveryTerms = .exchange
    ) {
        self.id = id
        self.connection = connection
        self.filter = filter
        self.group = group
        self.key = key
        self.terms = terms
    }
}
