/// The cluster's token, as the two ends of a link use it: each proves to have it, and neither says it.
///
/// A proof is a code over the role of the one who proves and the nonces of both. So no proof counts for the other end (reflection), or for
/// another connection (replay). It does not keep what follows from somebody in between: that takes TLS.
public struct LinkSecret: Sendable {
    enum Role: String {
        case worker, master
    }

    /// How many tokens there are: a worker proves the first, a master takes any.
    let count: Int
    private let code: @Sendable (_ place: Int, _ bytes: [UInt8]) -> [UInt8]
    /// Bytes that nobody can guess, other ones at each call.
    let nonce: @Sendable () -> [UInt8]

    /// - Parameters:
    ///   - count: 1 or more.
    ///   - code: a code of 32 bytes over these bytes, by the token at that place: HMAC-SHA-256.
    ///   - nonce: 32 bytes.
    public init(count: Int, code: @escaping @Sendable (Int, [UInt8]) -> [UInt8], nonce: @escaping @Sendable () -> [UInt8]) {
        self.count = count
        self.code = code
        self.nonce = nonce
    }

    func proof(_ place: Int = 0, of role: Role, worker: [UInt8], master: [UInt8]) -> [UInt8] {
        code(place, Array("shunt link 1 \(role.rawValue)\0".utf8) + worker + master)
    }

    /// Takes the same time wherever the two differ.
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.count == other.count && zip(one, other).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
