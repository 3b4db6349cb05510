import COpenSSL

/// SHA-256, and HMAC made of it, by OpenSSL.
enum Digest {
    /// Bytes of a digest.
    static let length = 32

    static func sha256(_ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: length) { digest, count in
            let done = EVP_Digest(bytes, bytes.count, digest.baseAddress, nil, EVP_sha256(), nil)
            // It fails only where there is no memory.
            precondition(done == 1, "OpenSSL makes no SHA-256")
            count = length
        }
    }

    static func hmac(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: length) { digest, count in
            let made = EVP_Q_mac(nil, "HMAC", nil, "SHA256", nil, key, key.count, bytes, bytes.count, digest.baseAddress, length, &count)
            precondition(made != nil && count == length, "OpenSSL makes no HMAC")
        }
    }
}
