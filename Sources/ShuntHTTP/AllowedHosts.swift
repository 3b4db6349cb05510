import Glibc
import ShuntCore

/// The names by which an endpoint may be asked.
///
/// A web page may point a name of its own at this machine, and would then ask it as its own server (DNS rebinding). What it asks for carries
/// that name. An IP address in its place can't be pointed anywhere else, and `localhost` is always the asking machine itself.
public struct AllowedHosts: Equatable, Sendable {
    private let names: Set<String>
    /// With their dot in front: any host under them.
    private let suffixes: [String]
    private let key: String

    /// - Parameters:
    ///   - patterns: names, and `*.name` for any host under one; addresses and empty texts add nothing.
    ///   - key: the configuration's key for more names, for the error.
    public init(_ patterns: [String], key: String) {
        let plain = patterns.map(Self.normalized)
        names = Set(plain.filter { !$0.isEmpty && !$0.hasPrefix("*.") }).union(["localhost", "ip6-localhost", "ip6-loopback"])
        suffixes = plain.filter { $0.hasPrefix("*.") }.map { String($0.dropFirst()) } + [".localhost"]
        self.key = key
    }

    /// - Parameter authority: a host, with or without a port (RFC 9110 §7.2).
    /// - Throws: `request.invalid` where it is no authority, `host.unknown` where the endpoint does not go by that name.
    func check(_ authority: String) throws(ShuntError) {
        guard let host = Self.host(of: authority) else {
            throw ShuntError(
                .requestInvalid, "the host of the request is neither a name nor an address", at: "Host: \(authority.prefix(100))",
                help: "send host:port, [IPv6]:port, or a host alone")
        }
        guard !host.isAddress, !names.contains(host.name), !suffixes.contains(where: { host.name.hasSuffix($0) }) else { return }
        throw ShuntError(
            .hostUnknown, "this server does not go by the name '\(host.name)'", at: "Host",
            help: "ask by IP address, or add the name to \(key)")
    }

    /// The host in lower case, without port, brackets and the dot at the end; nil where the text is no authority, or has a user in it.
    static func host(of authority: String) -> (name: String, isAddress: Bool)? {
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]"), isPort(authority[authority.index(after: end)...]) else { return nil }
            let inside = authority[authority.index(after: authority.startIndex)..<end]
            // A zone is for the one who asks (RFC 6874).
            let address = inside.prefix { $0 != "%" }
            return isAddress(String(address), AF_INET6) ? (address.lowercased(), true) : nil
        }
        let name = authority.prefix { $0 != ":" }
        guard isPort(authority[name.endIndex...]), isName(name) else { return nil }
        return (normalized(String(name)), isAddress(String(name), AF_INET))
    }

    private static func normalized(_ name: String) -> String {
        let lower = name.lowercased()
        return lower.hasSuffix(".") ? String(lower.dropLast()) : lower
    }

    /// Empty, or a colon and digits, or a colon alone.
    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty
            || (text.first == ":" && text.utf8.count <= 6
                && text.utf8.dropFirst().allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    }

    private static func isName(_ text: Substring) -> Bool {
        (1...254).contains(text.utf8.count) && text != "."
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }

    private static func isAddress(_ text: String, _ family: Int32) -> Bool {
        var address = in6_addr()
        return inet_pton(family, text, &address) == 1
    }
}

extension AllowedHosts {
    /// Checks what a request says of its host (RFC 9112 §3.2).
    /// - Parameters:
    ///   - target: as it stands in the request line.
    ///   - hosts: all values of the `Host` field.
    ///   - isRequired: whether there must be one, as from HTTP/1.1 on.
    func check(target: String, hosts: [String], isRequired: Bool) throws(ShuntError) {
        guard hosts.count == 1 || (hosts.isEmpty && !isRequired) else {
            throw ShuntError(
                .requestInvalid, hosts.isEmpty ? "the request has no Host field" : "the request has \(hosts.count) Host fields",
                at: "Host", help: "HTTP/1.1 needs exactly one")
        }
        if let host = hosts.first { try check(host) }
        // In the absolute form the target's counts, whatever the field says.
        if let scheme = target.range(of: "://"), !target.hasPrefix("/") {
            try check(String(target[scheme.upperBound...].prefix { !"/?#".contains($0) }))
        }
    }
}

extension StringProtocol {
    fileprivate func range(of text: String) -> Range<Index>? { firstRange(of: text) }
}
