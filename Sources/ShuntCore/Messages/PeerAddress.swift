/// A client's IP address and port, without a string of its own: a worker keeps one for each of its connections.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
    /// The 16 bytes of an IPv6 address, big-endian; an IPv4 address is mapped (`::ffff:a.b.c.d`).
    public var high: UInt64
    public var low: UInt64
    public var port: UInt16

    public init(high: UInt64 = 0, low: UInt64 = 0, port: UInt16 = 0) {
        self.high = high
        self.low = low
        self.port = port
    }

    public init(ipv4: UInt32, port: UInt16) {
        self.init(high: 0, low: 0xFFFF_0000_0000 | UInt64(ipv4), port: port)
    }

    public var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// The host of the client, which may have many ports and in IPv6 many addresses: the IPv4 address, or the 64-bit network of the IPv6
    /// address. nil for this machine, sockets in its file system too: all clients may come through a proxy on it.
    public var network: UInt64? {
        if isIPv4 { return low >> 24 & 0xFF == 127 ? nil : low }
        return high == 0 && low <= 1 ? nil : high
    }

    /// The address without the port: dotted for IPv4, by RFC 5952 for IPv6 (`::1`).
    public var host: String {
        if isIPv4 {
            return [24, 16, 8, 0].map { String(low >> UInt64($0) & 0xFF) }.joined(separator: ".")
        }
        let groups = [high, low].flatMap { half in [48, 32, 16, 0].map { half >> UInt64($0) & 0xFFFF } }
        let text = { (groups: ArraySlice<UInt64>) in groups.map { String($0, radix: 16) }.joined(separator: ":") }
        guard let zeros = Self.longestZeros(groups) else { return text(groups[...]) }
        return text(groups[..<zeros.lowerBound]) + "::" + text(groups[zeros.upperBound...])
    }

    /// The first of the longest stretches of at least two zeros.
    private static func longestZeros(_ groups: [UInt64]) -> Range<Int>? {
        var longest: Range<Int>?
        var start = 0
        for index in groups.indices {
            if groups[index] != 0 { start = index + 1 } else if index - start + 1 > max(1, longest?.count ?? 0) { longest = start..<index + 1 }
        }
        return longest
    }

    /// Of a client that came by a socket in the file system, which has no address.
    public static let unix = PeerAddress(high: 0, low: 0, port: .max)
    public var isUnix: Bool { self == .unix }

    public var description: String { isUnix ? "unix" : isIPv4 ? "\(host):\(port)" : "[\(host)]:\(port)" }
}
