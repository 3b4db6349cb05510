import COpenSSL
import ShuntCore

/// The keys that tokens are checked with: a JWK set (RFC 7517), or PEM with public keys or certificates.
public struct TokenKeys: Sendable {
    let keys: [TokenKey]

    /// The largest text, in bytes.
    public static let maximumSize = 1 << 20
    public static let maximumKeys = 64

    /// Keys of a JWK set for other purposes or algorithms are passed over, as RFC 7517 §5 asks for.
    /// - Parameter name: the text's name, for errors: a file, a URL.
    /// - Throws: `config.*` if there is no key, or one that cannot be read.
    public init(_ text: String, name: String) throws(ShuntError) {
        do throws(ShuntError) {
            guard text.utf8.count <= Self.maximumSize else { throw ShuntError(.configRange, "the keys are too large", help: "at most 1MiB") }
            let first = text.utf8.first { !TextLines.isSpace($0) }
            keys = first == UInt8(ascii: "{") ? try Self.keySet(text) : try Self.pem(text)
            guard !keys.isEmpty else {
                throw ShuntError(.configMissing, "there is no key for tokens", help: "a JWK set, or PEM with public keys or certificates")
            }
            guard keys.count <= Self.maximumKeys else { throw ShuntError(.configRange, "too many keys", help: "at most \(Self.maximumKeys)") }
        } catch {
            throw ShuntError(error.code, error.message, at: name, help: error.help)
        }
    }

    // MARK: JWK sets

    private static func keySet(_ text: String) throws(ShuntError) -> [TokenKey] {
        guard let set = StrictJSON(Array(text.utf8)) else { throw ShuntError(.configInvalid, "not JSON", help: "a JWK set: {\"keys\": […]}") }
        // A single key is a set as well.
        guard let elements = set["kty"] == nil ? set["keys"]?.array : [set] else {
            throw ShuntError(.configInvalid, "a JWK set without 'keys'", help: "{\"keys\": [{\"kty\": …}]}")
        }
        var keys: [TokenKey] = []
        for (place, element) in elements.enumerated() {
            do throws(ShuntError) {
                if let key = try key(element) { keys.append(key) }
            } catch {
                throw ShuntError(error.code, "key \(place + 1): \(error.message)", help: error.help)
            }
        }
        return keys
    }

    /// nil for a key of another purpose or algorithm.
    private static func key(_ jwk: StrictJSON) throws(ShuntError) -> TokenKey? {
        guard jwk.isObject else { throw ShuntError(.configInvalid, "no object") }
        if let use = jwk["use"], use != .string("sig") { return nil }
        if let operations = jwk["key_ops"], operations.strings?.contains("verify") != true { return nil }
        let id = jwk["kid"]?.string
        func bytes(_ name: String) throws(ShuntError) -> [UInt8] {
            guard let text = jwk[name]?.string, let bytes = Base64.decodeURL(text.utf8), !bytes.isEmpty else {
                throw ShuntError(.configInvalid, "'\(name)' is missing, or no base64url")
            }
            return bytes
        }
        let key: TokenKey
        switch (jwk["kty"]?.string, jwk["crv"]?.string) {
        case ("oct"?, nil):
            if let algorithm = jwk["alg"]?.string, algorithm != TokenAlgorithm.hs256.rawValue { return nil }
            key = try TokenKey(id: id, secret: bytes("k"))
        case ("RSA"?, nil):
            let numbers = DER.sequence(DER.integer(try bytes("n")) + DER.integer(try bytes("e")))
            key = try TokenKey(id: id, publicKey: DER.sequence(rsaEncryption + DER.bits(numbers)))
        case ("EC"?, "P-256"?):
            let (x, y) = (try bytes("x"), try bytes("y"))
            guard x.count == 32, y.count == 32 else { throw ShuntError(.configInvalid, "'x' and 'y' are not 32 bytes each") }
            key = try TokenKey(id: id, publicKey: DER.sequence(ecPublicKeyP256 + DER.bits([4] + x + y)))
        case ("OKP"?, "Ed25519"?): key = try TokenKey(id: id, publicKey: DER.sequence(ed25519 + DER.bits(try bytes("x"))))
        default: return nil
        }
        if let algorithm = jwk["alg"]?.string, algorithm != key.algorithm.rawValue { return nil }
        return key
    }

    // Algorithm identifiers, as DER: RFC 8017 §A.1, RFC 5480 §2.1.1, RFC 8410 §3.
    private static let rsaEncryption: [UInt8] = [0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00]
    private static let ecPublicKeyP256: [UInt8] = [
        0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,
    ]
    private static let ed25519: [UInt8] = [0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70]

    // MARK: PEM

    private static func pem(_ text: String) throws(ShuntError) -> [TokenKey] {
        let bytes = Array(text.utf8)
        guard let source = BIO_new_mem_buf(bytes, Int32(bytes.count)) else { throw ShuntError(.internalError, "OpenSSL has no memory") }
        defer {
            BIO_free(source)
            ERR_clear_error()
        }
        var keys: [TokenKey] = []
        while let (kind, der) = block(source) {
            switch kind {
            case "PUBLIC KEY": keys.append(try TokenKey(id: nil, publicKey: der))
            case "CERTIFICATE": keys.append(try TokenKey(id: nil, certificate: der))
            default:
                throw ShuntError(
                    .configInvalid, "PEM with \(PrintableText.of(kind))", help: "PUBLIC KEY, as `openssl pkey -pubout` writes it, or CERTIFICATE")
            }
            guard keys.count <= maximumKeys else { return keys }
        }
        return keys
    }

    private static func block(_ source: OpaquePointer) -> (kind: String, der: [UInt8])? {
        var (kind, header): (UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<CChar>?)
        var (data, count): (UnsafeMutablePointer<UInt8>?, Int) = (nil, 0)
        guard PEM_read_bio(source, &kind, &header, &data, &count) == 1 else { return nil }
        defer {
            for memory in [UnsafeMutableRawPointer(kind), UnsafeMutableRawPointer(header), UnsafeMutableRawPointer(data)] {
                CRYPTO_free(memory, nil, 0)
            }
        }
        return (kind.map { String(cString: $0) } ?? "", Array(UnsafeBufferPointer(start: data, count: count)))
    }
}
