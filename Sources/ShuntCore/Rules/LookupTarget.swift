/// What a rule asks over HTTP: a URL that was read strictly: libcurl asks just the host that was checked.
public struct LookupTarget: Equatable, Sendable {
    public var isSecure: Bool
    /// A name in small letters without a dot at its end, or an address; IPv6 without brackets, in one way of writing it.
    public var host: String
    public var port: Int
    /// From the first slash on.
    public var path: String

    /// As it is asked for.
    public var url: String { "\(isSecure ? "https" : "http")://\(authority)\(path)" }
    /// Host and port, as a list of hosts may have it.
    public var authority: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// - Throws: `rule.failed`, with what is wrong. Nothing is repaired: no user, no fragment, no byte that needs to be escaped.
    public init(_ url: String) throws(ShuntError) {
        guard url.utf8.allSatisfy({ (0x21...0x7E).contains($0) && !#""<>\^`{|}"#.utf8.contains($0) }) else {
            throw Self.wrong("the URL has a character that must be escaped", "percent-encode it: %20 for a space")
        }
        let scheme = url.prefix { $0 != ":" }.lowercased()
        guard scheme == "http" || scheme == "https", url.utf8.dropFirst(scheme.utf8.count).starts(with: "://".utf8) else {
            throw Self.wrong("the URL is not one of http:// or https://", "https://host/path")
        }
        isSecure = scheme == "https"
        let rest = url.dropFirst(scheme.count + 3)
        guard !rest.contains("#") else { throw Self.wrong("the URL has a fragment", "leave # and what is behind it out") }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@") else { throw Self.wrong("the URL has a user in it", "give credentials in a header") }
        guard let place = LookupHost.place(authority), !place.host.isEmpty else {
            throw Self.wrong("the URL names no host", "https://host/path, with a port of 1 to 65535 where it has one")
        }
        host = place.host
        port = place.port ?? (isSecure ? 443 : 80)
        let path = rest.dropFirst(authority.count)
        self.path = path.hasPrefix("/") ? String(path) : "/" + path
        guard !Self.hasDots(self.path) else {
            throw Self.wrong("the path has a segment . or .., which may lead to another one", "check what a client chooses before it goes into a URL")
        }
    }

    /// Whether a segment of the path stands for another one, escaped or not.
    private static func hasDots(_ path: String) -> Bool {
        path.prefix { $0 != "?" }.split(separator: "/").contains { segment in
            let plain = segment.lowercased().replacing("%2e", with: ".")
            return plain == "." || plain == ".."
        }
    }

    private static func wrong(_ what: String, _ help: String) -> ShuntError { ShuntError(.ruleFailed, what, help: help) }
}

/// An entry of a list of hosts that rules may ask: `host`, `host:port`, with `http://` or `https://` before it where only that counts.
public struct LookupHost: Equatable, Sendable {
    /// nil: both.
    public var isSecure: Bool?
    public var host: String
    /// nil: the scheme's.
    public var port: Int?

    public init?(_ text: String) {
        var rest = text[...]
        for (scheme, isSecure) in [("https://", true), ("http://", false)] where text.lowercased().hasPrefix(scheme) {
            self.isSecure = isSecure
            rest = rest.dropFirst(scheme.count)
        }
        guard let place = Self.place(rest), !place.host.isEmpty else { return nil }
        (host, port) = (place.host, place.port)
    }

    public func allows(_ target: LookupTarget) -> Bool {
        guard isSecure == nil || isSecure == target.isSecure else { return false }
        return host == target.host && (port ?? (target.isSecure ? 443 : 80)) == target.port
    }

    /// Host and port of a URL; nil unless it is one.
    static func place(_ text: Substring) -> (host: String, port: Int?)? {
        var host = text
        var port: Int?
        if text.hasPrefix("[") {
            guard let end = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":"), let address = address(host) else { return nil }
            if rest.hasPrefix(":") {
                guard let number = number(rest.dropFirst()) else { return nil }
                port = number
            }
            return (address, port)
        }
        if let colon = text.firstIndex(of: ":") {
            guard let number = number(text[text.index(after: colon)...]) else { return nil }
            (host, port) = (text[..<colon], number)
        }
        return name(String(host)).map { ($0, port) }
    }

    private static func number(_ text: Substring) -> Int? {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else { return nil }
        return (1...65_535).contains(number) ? number : nil
    }

    /// A name as it is compared: in small letters, without a dot at its end; nil where it is no name. Names are ASCII.
    public static func name(_ text: String) -> String? {
        let name = (text.hasSuffix(".") ? String(text.dropLast()) : text).lowercased()
        let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.count)
                && label.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D || $0 == 0x5F }
        }
        return isName && name.utf8.count <= 253 ? name : nil
    }

    /// An IPv6 address with all of its groups, so that each is written in one way only; nil where it is no address.
    static func address(_ text: Substring) -> String? {
        let halves = text.split(separator: "::", maxSplits: 2, omittingEmptySubsequences: false)
        guard halves.count <= 2 else { return nil }
        func groups(_ half: Substring) -> [String]? {
            guard !half.isEmpty else { return [] }
            var all: [String] = []
            for group in half.split(separator: ":", omittingEmptySubsequences: false) {
                guard (1...4).contains(group.utf8.count), let value = UInt16(group, radix: 16), group.utf8.first != UInt8(ascii: "+") else {
                    return nil
                }
                all.append(String(value, radix: 16))
            }
            return all
        }
        guard let first = groups(halves[0]) else { return nil }
        guard halves.count == 2 else { return first.count == 8 ? first.joined(separator: ":") : nil }
        guard let last = groups(halves[1]), first.count + last.count < 8 else { return nil }
        let zeros = [String](repeating: "0", count: 8 - first.count - last.count)
        return (first + zeros + last).joined(separator: ":")
    }
}

/// An entry of a list of names that rules may resolve: a name, `*.` and the names under it, or `*` for all.
public struct LookupName: Equatable, Sendable {
    private enum Kind: Equatable {
        case all
        case one(String)
        case below(String)
    }

    private let kind: Kind

    public init?(_ text: String) {
        if text == "*" {
            kind = .all
        } else if text.hasPrefix("*.") {
            guard let name = LookupHost.name(String(text.dropFirst(2))) else { return nil }
            kind = .below("." + name)
        } else {
            guard let name = LookupHost.name(text) else { return nil }
            kind = .one(name)
        }
    }

    /// - Parameter name: as `LookupHost.name` gives it.
    public func allows(_ name: String) -> Bool {
        switch kind {
        case .all: true
        case .one(let only): only == name
        case .below(let suffix): name.hasSuffix(suffix)
        }
    }
}
