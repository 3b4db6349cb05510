import Glibc

/// A range of IP addresses in CIDR notation: `10.0.0.0/8`, `2001:db8::/32`; without a prefix length, a single address.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    private var first: PeerAddress
    /// The prefix length, of the 128 bits of an address; IPv4 addresses are mapped.
    private let bits: Int

    /// nil unless the text is an address, perhaps with a prefix length; all bits after the prefix must be 0.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let host = parts.first, let first = PeerAddress(host: String(host)) else { return nil }
        let width = host.contains(":") ? 128 : 32
        var length = width
        if parts.count == 2 {
            guard let given = Int(parts[1]), (0...width).contains(given), String(given) == parts[1] else { return nil }
            length = given
        }
        self.first = first
        bits = 128 - width + length
        guard masked(first) == first else { return nil }
    }

    /// The range with this prefix that an address is in.
    /// - Parameter prefix: of the 128 bits of an address; IPv4 addresses are mapped.
    public init(around address: PeerAddress, prefix: Int) {
        first = address
        bits = min(max(prefix, 0), 128)
        self.first = masked(address)
    }

    /// The prefix length, of the 128 bits of an address: 96 more than IPv4's own.
    public var prefix: Int { bits }

    /// Whether the address is in the range. A range of IPv6 holds no IPv4 address, not even `::/0`.
    public func contains(_ address: PeerAddress) -> Bool {
        address.isIPv4 == (first.isIPv4 && bits >= 96) && masked(address) == masked(first)
    }

    private func masked(_ address: PeerAddress) -> PeerAddress {
        let high: UInt64 = bits >= 64 ? .max : ~(.max >> UInt64(bits))
        let low: UInt64 = bits <= 64 ? 0 : ~(bits == 128 ? 0 : .max >> UInt64(bits - 64))
        return PeerAddress(high: address.high & high, low: address.low & low)
    }

    public var description: String {
        first.isIPv4 && bits >= 96 ? "\(first.host)/\(bits - 96)" : "\(first.host)/\(bits)"
    }
}

extension PeerAddress {
    /// An IPv4 address in four decimal parts, or an IPv6 address; no port. nil if the text is neither.
    public init?(host: String) {
        var raw = in6_addr()
        let isIPv6 = host.contains(":")
        guard inet_pton(isIPv6 ? AF_INET6 : AF_INET, host, &raw) == 1 else { return nil }
        self = withUnsafeBytes(of: &raw) { PeerAddress(networkOrder: $0, isIPv6: isIPv6) }
    }

    /// The 4 or 16 bytes of an address, as packets have them; no port.
    public init(networkOrder bytes: Bytes, isIPv6: Bool) {
        guard isIPv6 else {
            self.init(ipv4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)), port: 0)
            return
        }
        self.init(
            high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    }
}
