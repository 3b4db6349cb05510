import ShuntCore

/// Where Shunt asks by HTTP: `https://`, or `http://` on this machine, where nobody listens on the way.
public struct HTTPAddress: Equatable, Sendable, CustomStringConvertible {
    /// As it is asked for.
    public let text: String
    /// Without what may be a secret: the path's part behind the question mark.
    public let description: String

    /// nil unless it is a whole address. One with a user or a fragment is not.
    public init?(_ text: String) {
        guard let (authority, isSecure) = Self.authority(of: text), text.utf8.count <= 2048,
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: "\\") })
        else { return nil }
        guard let address = HostPort(authority, defaultPort: isSecure ? 443 : 80), isSecure || address.isLoopback else { return nil }
        self.text = text
        description = String(text.prefix { $0 != "?" })
    }

    /// A text, YAML in one line, with `…` in place of what may be a secret in its addresses: the part behind the question mark.
    static func withoutQueries(_ text: String) -> String {
        guard text.contains("://"), text.contains("?") else { return text }
        var shown = ""
        var (isAddress, isQuery) = (false, false)
        for character in text {
            if " ,\"'[]{}".contains(character) { (isAddress, isQuery) = (false, false) }
            if shown.hasSuffix(":/"), character == "/" { isAddress = true }
            if isQuery { continue }
            shown.append(character)
            if isAddress, character == "?" {
                shown += "…"
                isQuery = true
            }
        }
        return shown
    }

    /// Whether a text is meant as an address, rather than as a path.
    public static func isMeant(by text: String) -> Bool { authority(of: text) != nil }

    private static func authority(of text: String) -> (Substring, isSecure: Bool)? {
        for (scheme, isSecure) in [("https://", true), ("http://", false)] where text.lowercased().hasPrefix(scheme) {
            return (text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" }, isSecure)
        }
        return nil
    }

    static let summary = "https://host/path, or http:// with localhost, 127.0.0.1 or [::1]"
}
