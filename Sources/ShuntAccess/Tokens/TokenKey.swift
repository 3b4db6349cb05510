import COpenSSL
import ShuntCore

/// How a token is signed (RFC 7518, RFC 8037).
public enum TokenAlgorithm: String, CaseIterable, Sendable {
    case hs256 = "HS256"
    case rs256 = "RS256"
    case es256 = "ES256"
    case edDSA = "EdDSA"
}

/// A key that signatures of tokens are checked with. It belongs to one algorithm: a public key is never taken for a secret.
///
/// Unchecked: OpenSSL counts the references of a key, and nothing changes it once it is made.
final class TokenKey: @unchecked Sendable {
    let id: String?
    let algorithm: TokenAlgorithm
    private let secret: [UInt8]
    private let key: OpaquePointer?

    /// The shortest secret, in bytes (RFC 7518 §3.2).
    static let minimumSecret = 32
    /// Bits of an RSA key (RFC 7518 §3.3).
    static let rsaBits = 2048...8192

    init(id: String?, secret: [UInt8]) throws(ShuntError) {
        guard secret.count >= Self.minimumSecret else {
            throw ShuntError(.configRange, "a secret of \(secret.count) bytes", help: "at least \(Self.minimumSecret), chosen at random")
        }
        (self.id, algorithm, self.secret, key) = (id, .hs256, secret, nil)
    }

    /// - Parameter der: a SubjectPublicKeyInfo (RFC 5280).
    convenience init(id: String?, publicKey der: [UInt8]) throws(ShuntError) {
        let key = der.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_PUBKEY(nil, &start, bytes.count)
        }
        try self.init(id: id, key)
    }

    /// - Parameter der: an X.509 certificate. Only its key counts: not who signed it, nor when it ends.
    convenience init(id: String?, certificate der: [UInt8]) throws(ShuntError) {
        let certificate = der.withUnsafeBufferPointer { bytes in
            var start = bytes.baseAddress
            return d2i_X509(nil, &start, bytes.count)
        }
        defer { X509_free(certificate) }
        try self.init(id: id, certificate.flatMap { X509_get_pubkey($0) })
    }

    /// Takes the key over.
    private init(id: String?, _ key: OpaquePointer?) throws(ShuntError) {
        defer { ERR_clear_error() }
        guard let key else { throw ShuntError(.configInvalid, "a key that cannot be read", help: "an RSA, P-256 or Ed25519 key") }
        guard let algorithm = Self.algorithm(of: key) else {
            EVP_PKEY_free(key)
            throw ShuntError(
                .configRange, "a key that no token of the kinds that are read is signed with",
                help: "RSA of \(Self.rsaBits.lowerBound) to \(Self.rsaBits.upperBound) bits, P-256 or Ed25519")
        }
        (self.id, self.algorithm, secret, self.key) = (id, algorithm, [], key)
    }

    deinit { EVP_PKEY_free(key) }

    private static func algorithm(of key: OpaquePointer) -> TokenAlgorithm? {
        switch EVP_PKEY_get_base_id(key) {
        case EVP_PKEY_RSA: return rsaBits.contains(Int(EVP_PKEY_get_bits(key))) ? .rs256 : nil
        case EVP_PKEY_ED25519: return .edDSA
        case EVP_PKEY_EC:
            var name = [CChar](repeating: 0, count: 64)
            guard EVP_PKEY_get_group_name(key, &name, name.count, nil) == 1 else { return nil }
            return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) == "prime256v1" ? .es256 : nil
        default: return nil
        }
    }

    /// Whether a signature is this key's for a text.
    func verifies(_ signature: [UInt8], of text: [UInt8]) -> Bool {
        defer { ERR_clear_error() }
        switch algorithm {
        case .hs256:
            var (code, count) = ([UInt8](repeating: 0, count: 32), UInt32(0))
            guard HMAC(EVP_sha256(), secret, Int32(secret.count), text, text.count, &code, &count) != nil else { return false }
            return SecretBytes.areEqual(code, signature)
        case .rs256: return verifies(signature, of: text, EVP_sha256())
        case .edDSA: return verifies(signature, of: text, nil)
        case .es256:
            // Two numbers of 32 bytes (RFC 7518 §3.4), which OpenSSL wants as DER.
            guard signature.count == 64 else { return false }
            return verifies(DER.sequence(DER.integer(signature[..<32]) + DER.integer(signature[32...])), of: text, EVP_sha256())
        }
    }

    private func verifies(_ signature: [UInt8], of text: [UInt8], _ digest: OpaquePointer?) -> Bool {
        guard let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        guard EVP_DigestVerifyInit(context, nil, digest, nil, key) == 1 else { return false }
        return EVP_DigestVerify(context, signature, signature.count, text, text.count) == 1
    }
}

/// The little of DER (X.690) that public keys and signatures need.
enum DER {
    static func sequence(_ content: [UInt8]) -> [UInt8] { element(0x30, content) }

    /// A number that is not negative, from its bytes.
    static func integer(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let digits = bytes.drop { $0 == 0 }
        return element(0x02, (digits.first ?? 0x80) >= 0x80 ? [0] + digits : Array(digits))
    }

    static func bits(_ content: [UInt8]) -> [UInt8] { element(0x03, [0] + content) }

    private static func element(_ tag: UInt8, _ content: [UInt8]) -> [UInt8] {
        guard content.count >= 0x80 else { return [tag, UInt8(content.count)] + content }
        let length = withUnsafeBytes(of: UInt32(content.count).bigEndian) { $0.drop { $0 == 0 } }
        return [tag, 0x80 | UInt8(length.count)] + length + content
    }
}
