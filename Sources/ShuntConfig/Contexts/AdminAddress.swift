public import ShuntCore

/// Where a master's admin API answers.
public struct AdminAddress: Equatable, Sendable, CustomStringConvertible {
    public var address: HostPort
    /// Whether it speaks TLS.
    public var isSecure = false

    public init(_ address: HostPort) { self.address = address }

    /// `host` or `host:port`, also as the beginning of a URL; the port of a host alone is the usual one.
    public init?(_ text: String) {
        var rest = Substring(text)
        isSecure = rest.hasPrefix("https://")
        if isSecure || rest.hasPrefix("http://") { rest = rest.dropFirst(isSecure ? "https://".count : "http://".count) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard let address = HostPort(rest, defaultPort: ClientContext.adminPort) else { return nil }
        self.address = address
    }

    public var description: String { (isSecure ? "https://" : "") + address.description }
}
