public import ShuntCore

/// The token that both ends of a link between worker and master prove to have.
public struct ClusterToken: Sendable {
    /// The first is the one that is proved; any counts.
    private let keys: [[UInt8]]

    /// Bytes of a token.
    public static let lengths = 16...1024
    public static let maximumTokens = 8

    /// - Parameters:
    ///   - text: a token a line; lines that begin with `#` are comments.
    ///   - name: the file's or variable's, for errors.
    /// - Throws: `config.missing` without any, `config.range` for one that is too short or too long. No error has a part of it.
    public init(_ text: String, name: String) throws(ShuntError) {
        var keys: [[UInt8]] = []
        for (number, line) in TextLines(text) {
            let token = Array(line.drop { $0 == " " || $0 == "\t" }.utf8)
            if token.isEmpty || token.first == UInt8(ascii: "#") { continue }
            guard Self.lengths.contains(token.count) else {
                throw ShuntError(
                    .configRange, "the token is too short or too long", at: "\(name):\(number)",
                    help: "\(Self.lengths.lowerBound) to \(Self.lengths.upperBound) bytes; `openssl rand -base64 32` makes a good one")
            }
            keys.append(token)
        }
        guard (1...Self.maximumTokens).contains(keys.count) else {
            throw keys.isEmpty
                ? ShuntError(.configMissing, "there is no token", at: name, help: "`openssl rand -base64 32` makes a good one")
                : ShuntError(.configRange, "too many tokens", at: name, help: "at most \(Self.maximumTokens)")
        }
        self.keys = keys
    }

    public var count: Int { keys.count }

    /// 32 bytes that nobody can guess.
    public static func nonce() -> [UInt8] {
        var random = SystemRandomNumberGenerator()
        return (0..<Digest.length).map { _ in UInt8.random(in: 0...255, using: &random) }
    }

    /// HMAC-SHA-256 of the bytes with the token at this place.
    public func proof(_ place: Int, of bytes: [UInt8]) -> [UInt8] { Digest.hmac(key: keys[place], bytes) }
}
