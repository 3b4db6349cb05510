import ShuntCore

/// Where a master or a worker listens: `host:port`, an IPv6 address in brackets.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an address, without brackets.
    public var host: String
    /// 1 to 65535.
    public var port: Int

    public init(_ host: String, _ port: Int) {
        self.host = host
        self.port = port
    }

    /// nil unless the text is a whole address.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let port = Int(digits),
            (1...65535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy({ 0x21...0x7E ~= $0 }) else { return nil }
        self.init(String(host), port)
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The same where the port may be left out: `10.0.0.1`, `[::1]`, `::1`.
    public init?(_ text: some StringProtocol, defaultPort: Int) {
        if let address = ServerAddress(text) {
            self = address
        } else if text.hasPrefix("[") ? text.hasSuffix("]") : text.count(where: { $0 == ":" }) != 1 {
            let host = text.hasPrefix("[") ? text.dropFirst().dropLast() : text[...]
            self.init(host.contains(":") ? "[\(host)]:\(defaultPort)" : "\(host):\(defaultPort)")
        } else {
            return nil
        }
    }

    /// Addresses with commas between.
    /// - Parameter defaultPort: where an address may come without one.
    /// - Throws: `usage` naming the part that is not an address.
    public static func list(_ text: String, defaultPort: Int? = nil) throws(ShuntError) -> [ServerAddress] {
        var addresses: [ServerAddress] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let trimmed = String(part.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            let address = if let defaultPort { ServerAddress(trimmed, defaultPort: defaultPort) } else { ServerAddress(trimmed) }
            guard let address else {
                throw ShuntError(
                    .usage, "'\(trimmed)' is no address", help: "host:port, as in 127.0.0.1:4088; commas between several")
            }
            addresses.append(address)
        }
        return addresses
    }
}
