import COpenSSL
import ShuntCore

/// Comparisons that take the same time whatever differs.
enum SecretBytes {
    static func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.count == other.count && CRYPTO_memcmp(one, other, one.count) == 0
    }
}
