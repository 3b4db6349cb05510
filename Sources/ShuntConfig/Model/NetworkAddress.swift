import Glibc

/// `host:port`, an IPv6 address in brackets: `127.0.0.1:4088`, `[::1]:4088`, `master-1.internal:4088`.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, without brackets; never empty.
    public var host: String
    /// 0 to 65535.
    public var port: Int

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    /// nil unless the text is a whole address.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy(\.isASCIIDigit), let port = Int(digits), port <= 65535
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

    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    /// Whether this can be a host: a name, an IPv4 address, or an IPv6 address without brackets.
    static func isHost(_ text: some StringProtocol) -> Bool {
        isName(text) || isIPv6(text)
    }

    /// Labels of letters, digits, `-` and `_`, with dots between (RFC 1123, and what container networks make up).
    private static func isName(_ text: some StringProtocol) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
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
