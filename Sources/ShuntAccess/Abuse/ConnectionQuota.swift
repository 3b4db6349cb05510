import ShuntCore

/// Which connections a listener takes: so many of one address at once, and so many a second.
///
/// An address is an IPv4 address, or the 64-bit network of an IPv6 address.
public struct ConnectionQuota: Sendable {
    public enum Limit: Equatable, Sendable {
        case perAddress, perSecond
    }

    private let perAddress: Int
    private var open: [PeerAddress: Int] = [:]
    private var rate: TokenBucket?

    /// - Parameters:
    ///   - perAddress: connections at once; 0: any number.
    ///   - perSecond: connections of all addresses, and as many at once; 0: any number.
    ///   - now: seconds of a clock that never goes back.
    public init(perAddress: Int, perSecond: Int, now: Double) {
        self.perAddress = perAddress
        if perSecond > 0 { rate = TokenBucket(rate: Double(perSecond), burst: Double(perSecond), now: now) }
    }

    /// Addresses that have connections which count.
    public var count: Int { open.count }

    /// A client has connected. One that is refused does not count.
    /// - Returns: the limit that it is beyond; nil where it may come in, and `leaves` is called when it goes.
    public mutating func enters(_ address: PeerAddress, now: Double) -> Limit? {
        let key = Self.key(address)
        let before = perAddress > 0 ? open[key] ?? 0 : 0
        guard perAddress == 0 || before < perAddress else { return .perAddress }
        if var next = rate {
            guard next.take(1, now: now) == 0 else { return .perSecond }
            rate = next
        }
        if perAddress > 0 { open[key] = before + 1 }
        return nil
    }

    /// A client that was let in has gone.
    public mutating func leaves(_ address: PeerAddress) {
        let key = Self.key(address)
        guard let before = open[key] else { return }
        open[key] = before > 1 ? before - 1 : nil
    }

    /// What one client may have: an IPv4 address, or the 64-bit network of an IPv6 address.
    static func key(_ address: PeerAddress) -> PeerAddress {
        // The addresses of this machine, ::1 among them, are no networks.
        PeerAddress(high: address.high, low: address.high == 0 ? address.low : 0)
    }
}
