public import ShuntConfig
import ShuntCore

/// Who may ask the admin API: a line each, `role:name:token` or `role:name:sha256=HEX`. Lines that begin with `#` are comments.
///
/// Only digests are kept.
public struct AdminTokens: Sendable {
    public enum Role: String, CaseIterable, Sendable {
        case read
        /// Commands, too.
        case operate
    }

    /// A holder of a token.
    public struct Holder: Equatable, Sendable {
        public var name: String
        public var role: Role
    }

    private var entries: [(digest: [UInt8], holder: Holder)] = []

    public static let maximumTokens = 1000
    /// Bytes of a token in the clear.
    public static let lengths = 16...1024

    /// - Parameter name: the file's name, for errors.
    /// - Throws: every wrong line with its number, and a file without any token. No error has a part of a token in it.
    public init(_ text: String, name: String) throws(ConfigurationErrors) {
        var diagnostics = TextLines.readEntries(of: text, name: name) { (line, _) throws(ShuntError) in try add(line) }
        // One that is being written may be empty: nobody is let in or kept out by it.
        if entries.isEmpty, diagnostics.errors.isEmpty { diagnostics.add(.configMissing, "the file has no token", at: name, help: Self.form) }
        try diagnostics.throwAny()
    }

    private static let form = "a line is role:name:token, or role:name:sha256=HEX, with the role read or operate"

    private mutating func add(_ line: String) throws(ShuntError) {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else { throw ShuntError(.configInvalid, "a line without two colons", help: Self.form) }
        // What stands first may be a token, where its line is wrong: it is not shown.
        guard let role = Role(rawValue: parts[0]) else { throw ShuntError(.configInvalid, "the role is unknown", help: "read or operate") }
        let isClean = parts[1].unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
        guard (1...64).contains(parts[1].utf8.count), isClean else {
            throw ShuntError(.configRange, "nobody can have this name", help: "1 to 64 bytes without control characters")
        }
        guard entries.count < Self.maximumTokens else {
            throw ShuntError(.configRange, "too many tokens", help: "at most \(Self.maximumTokens)")
        }
        let digest = try Self.digest(parts[2])
        guard !entries.contains(where: { $0.holder.name == parts[1] }) else {
            throw ShuntError(.configInvalid, "a name for the second time", help: "give each token a name of its own: events show it")
        }
        guard !entries.contains(where: { $0.digest == digest }) else {
            throw ShuntError(.configInvalid, "a token for the second time", help: "keep one of the lines")
        }
        entries.append((digest, Holder(name: parts[1], role: role)))
    }

    private static func digest(_ text: String) throws(ShuntError) -> [UInt8] {
        guard text.hasPrefix("sha256=") else {
            guard lengths.contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
                throw ShuntError(
                    .configRange, "the token can't be one",
                    help: "\(lengths.lowerBound) to \(lengths.upperBound) visible ASCII characters; `openssl rand -hex 32` makes a good one")
            }
            return Digest.sha256(Array(text.utf8))
        }
        guard let digest = Self.bytes(ofHex: text.dropFirst("sha256=".count)), digest.count == Digest.length else {
            throw ShuntError(
                .configInvalid, "after sha256= there are no 64 hexadecimal digits", help: "printf %s TOKEN | sha256sum prints them")
        }
        return digest
    }

    private static func bytes(ofHex text: Substring) -> [UInt8]? {
        var digits: [UInt8] = []
        for character in text {
            guard character.isASCII, let digit = character.hexDigitValue else { return nil }
            digits.append(UInt8(digit))
        }
        guard digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// Who has this token; nil if nobody. It takes the same time whichever it is.
    public func holder(of token: String) -> Holder? {
        let digest = Digest.sha256(Array(token.utf8.prefix(Self.lengths.upperBound + 1)))
        var found: Holder?
        for entry in entries where SecretBytes.areEqual(entry.digest, digest) { found = entry.holder }
        return found
    }
}
