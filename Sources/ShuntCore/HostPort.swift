import Glibc

/// The address of a listener, as `host:port`, with an IPv6 address in brackets, as in `127.0.0.1:4088`, `[::1]:4088`,
/// `master-1.internal:4088`. Nothing is looked up; a client's resolved address is a ``PeerAddress``.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, without brackets.
    public var host: String
    /// 0 to 65535; 0 is any free one, to listen on.
    public var port: Int

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    /// nil unless the text is a whole address.
    /// - Parameter ports: from 0 where the system may choose one.
    public init?(_ text: some StringProtocol, ports: ClosedRange<Int> = 1...65_535) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy(\.isASCIIDigit), let port = Int(digits), ports.contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
            guard Self.isIPv6(host) else { return nil }
        } else {
            guard Self.isName(host) else { return nil }
        }
        self.init(String(host), port)
    }

    /// The same for a text that may leave the port out: `10.0.0.1`, `[::1]`, `::1`.
    public init?(_ text: some StringProtocol, defaultPort: Int) {
        if let address = HostPort(text) {
            self = address
        } else {
            let host = text.hasPrefix("[") && text.hasSuffix("]") ? text.dropFirst().dropLast() : text[...]
            guard text.hasPrefix("[") ? Self.isIPv6(host) : Self.isHost(host) else { return nil }
            self.init(String(host), defaultPort)
        }
    }

    /// Addresses with commas between.
    /// - Parameter defaultPort: the port of an address that has none; nil: each address must have one.
    /// - Throws: `usage` naming the part that is not an address.
    public static func list(_ text: String, defaultPort: Int? = nil) throws(ShuntError) -> [HostPort] {
        var addresses: [HostPort] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let trimmed = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            let address = if let defaultPort { HostPort(trimmed, defaultPort: defaultPort) } else { HostPort(trimmed) }
            guard let address else {
                throw ShuntError(
                    .usage, "'\(trimmed)' is no address", help: "host:port, as in 127.0.0.1:4088; commas between several")
            }
            addresses.append(address)
        }
        return addresses
    }

    /// The host that a worker tells may have brackets already.
    public var description: String { host.contains(":") && !host.hasPrefix("[") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Whether this can be a host: a name, an IPv4 address, or an IPv6 address without brackets.
    public static func isHost(_ text: some StringProtocol) -> Bool {
        isName(text) || isIPv6(text)
    }

    /// Labels of letters, digits, `-` and `_`, with dots between, and perhaps one at the end (RFC 1123, and what container networks make up).
    private static func isName(_ text: some StringProtocol) -> Bool {
        let name = text.hasSuffix(".") ? text.dropLast() : text[...]
        return (1...253).contains(name.utf8.count)
            && name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
                (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
                    && label.utf8.allSatisfy { $0.isASCIILetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
            }
    }

    /// With a zone after `%`, where one is needed (RFC 4007 §11).
    private static func isIPv6(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var address = in6_addr()
        guard let first = parts.first, inet_pton(AF_INET6, String(first), &address) == 1 else { return false }
        return parts.count == 1
            || ((1...15).contains(parts[1].utf8.count)
                && parts[1].utf8.allSatisfy { $0.isASCIILetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") })
    }
}
