import COpenSSL
import ShuntCore

/// A hashed password, as a line of a password file has it.
struct PasswordHash: Hashable, Sendable {
    private enum Form: Hashable, Sendable {
        /// Mosquitto 1.6's: SHA-512 of the password and then the salt.
        case sha512(salt: [UInt8], digest: [UInt8])
        /// Mosquitto 2's: PBKDF2 by HMAC-SHA-512.
        case pbkdf2(iterations: Int32, salt: [UInt8], digest: [UInt8])
        /// Crypt(3)'s.
        case crypt(String)
    }

    private let form: Form

    /// The most iterations of PBKDF2: a second of a core.
    static let maximumIterations: Int32 = 2_000_000
    /// The longest hash, in bytes.
    static let maximumSize = 512

    /// Of mosquitto and libcrypt, both write `$6$` and `$7$`; their forms differ.
    /// - Throws: `config.*` if the text is no hash that is known, or costs too much.
    init(_ text: String) throws(ShuntError) {
        guard text.utf8.first == UInt8(ascii: "$"), text.utf8.count <= Self.maximumSize else {
            throw ShuntError(
                .configInvalid, "no hash after the user's name", help: "`shunt admin passwd` hashes a password, `mosquitto_passwd -U` a file of them")
        }
        let parts = text.split(separator: "$", omittingEmptySubsequences: false)
        switch (parts[1], parts.count) {
        // In crypt(3) this part has 86 characters, and no padding.
        case ("6", 4) where parts[3].hasSuffix("=="):
            let (salt, digest) = try Self.read(parts[2], parts[3])
            form = .sha512(salt: salt, digest: digest)
        // In crypt(3) there is no number of iterations.
        case ("7", 5):
            let (salt, digest) = try Self.read(parts[3], parts[4])
            guard let iterations = Int32(parts[2]), (1...Self.maximumIterations).contains(iterations) else {
                throw ShuntError(.configRange, "a hash with a wrong number of iterations", help: "1 to \(Self.maximumIterations)")
            }
            form = .pbkdf2(iterations: iterations, salt: salt, digest: digest)
        default:
            try Crypt.check(parts)
            form = .crypt(text)
        }
    }

    private static func read(_ salt: Substring, _ digest: Substring) throws(ShuntError) -> (salt: [UInt8], digest: [UInt8]) {
        guard let salt = Base64.decode(salt), let digest = Base64.decode(digest), !salt.isEmpty, digest.count == 64 else {
            throw ShuntError(.configInvalid, "a hash that is not whole", help: "write it anew with `shunt admin passwd` or `mosquitto_passwd`")
        }
        return (salt, digest)
    }

    /// Takes milliseconds of processor time, as hashes of passwords should: not on a loop.
    func matches(_ password: Bytes) -> Bool {
        switch form {
        case .sha512(let salt, let digest): SecretBytes.areEqual(Self.sha512(password, salt), digest)
        case .pbkdf2(let iterations, let salt, let digest): SecretBytes.areEqual(Self.pbkdf2(password, salt, iterations), digest)
        case .crypt(let text): Crypt.matches(password, text)
        }
    }

    private static func sha512(_ password: Bytes, _ salt: [UInt8]) -> [UInt8] {
        var input = Array(password) + salt
        defer { OPENSSL_cleanse(&input, input.count) }
        var digest = [UInt8](repeating: 0, count: 64)
        guard EVP_Digest(input, input.count, &digest, nil, EVP_sha512(), nil) == 1 else { return [] }
        return digest
    }

    private static func pbkdf2(_ password: Bytes, _ salt: [UInt8], _ iterations: Int32) -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 64)
        let text = password.baseAddress?.bindMemory(to: CChar.self, capacity: password.count)
        let isMade = PKCS5_PBKDF2_HMAC(
            text, Int32(password.count), salt, Int32(salt.count), iterations, EVP_sha512(), Int32(digest.count), &digest)
        guard isMade == 1 else { return [] }
        return digest
    }
}
