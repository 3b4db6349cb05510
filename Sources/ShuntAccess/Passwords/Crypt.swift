import CCrypt
import COpenSSL
import ShuntCore

/// The hashes of crypt(3) that a password file may have, made and compared by libcrypt.
enum Crypt {
    /// The longest password that libcrypt takes, in bytes.
    static let maximumPassword = Int(CRYPT_MAX_PASSPHRASE_SIZE) - 1
    /// The most memory that a hash may ask for: one that asks for more would fail, or starve others, at each attempt.
    static let maximumMemory = 256 << 20
    /// The most rounds of SHA-512: half a second of a core.
    static let maximumRounds = 1_000_000
    /// The highest cost of bcrypt: it doubles with each step, and 14 takes a second.
    static let maximumBcryptCost = 14

    /// Whether a hash is whole, of a kind that is read, and within the bounds above.
    /// - Parameter parts: its text between the `$`, from the empty one before the first on.
    static func check(_ parts: [Substring]) throws(ShuntError) {
        switch (parts[1], parts.count) {
        case ("y", 5), ("gy", 5):
            guard hasAlphabet(parts[2]), parts[2].utf8.count == 3, isSalt(parts[3]), isDigest(parts[4], 43) else { throw damaged }
            // Flags, then the logarithm of the number of blocks less 1, then of their size.
            let (blocks, size) = (value(parts[2], 1) + 1, value(parts[2], 2) + 1)
            try checkMemory(blocksLog: blocks, size: size)
        case ("7", 4):
            guard hasAlphabet(parts[2]), parts[2].utf8.count > 11, isDigest(parts[3], 43) else { throw damaged }
            // The parallel threads make the time longer, not the memory larger.
            guard parts[2].utf8.dropFirst(6).prefix(5).elementsEqual("/....".utf8) else { throw tooDear }
            let size = (1...5).reduce(0) { $0 | value(parts[2], $1) << (($1 - 1) * 6) }
            try checkMemory(blocksLog: value(parts[2], 0), size: size)
        case ("2a", 4), ("2b", 4), ("2y", 4):
            guard parts[2].utf8.count == 2, let cost = Int(parts[2]), isDigest(parts[3], 53) else { throw damaged }
            guard (4...maximumBcryptCost).contains(cost) else { throw tooDear }
        case ("6", 4): guard isSalt(parts[2]), isDigest(parts[3], 86) else { throw damaged }
        case ("6", 5):
            guard parts[2].hasPrefix("rounds="), let rounds = Int(parts[2].dropFirst(7)), isSalt(parts[3]), isDigest(parts[4], 86)
            else { throw damaged }
            guard (1000...maximumRounds).contains(rounds) else { throw tooDear }
        default: throw damaged
        }
    }

    /// Whether a password has a hash. One that libcrypt cannot take, too long or with a NUL in it, has none.
    static func matches(_ password: Bytes, _ hash: String) -> Bool {
        let isWhole = password.count <= maximumPassword && !password.contains(0)
        guard let found = run(isWhole ? password : .none, setting: hash) else { return false }
        return SecretBytes.areEqual(found, Array(hash.utf8)) && isWhole
    }

    /// A hash of a password by yescrypt, with the cost that libcrypt prefers and a salt of its own.
    /// - Throws: `internal` where libcrypt gives none.
    static func make(_ password: [UInt8]) throws(ShuntError) -> String {
        var setting = [CChar](repeating: 0, count: Int(CRYPT_GENSALT_OUTPUT_SIZE))
        let isSet = crypt_gensalt_rn("$y$", 0, nil, 0, &setting, Int32(setting.count)) != nil
        let salt = String(decoding: setting.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        guard isSet, let hash = password.withUnsafeBytes({ run($0, setting: salt) }) else {
            throw ShuntError(.internalError, "libcrypt makes no hash")
        }
        return String(decoding: hash, as: UTF8.self)
    }

    private static func run(_ password: Bytes, setting: String) -> [UInt8]? {
        var phrase = password.map { CChar(bitPattern: $0) } + [0]
        // `struct crypt_data`, zeroed, as crypt_r(3) asks for it.
        let size = 1 << 15
        let data = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        data.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        defer {
            OPENSSL_cleanse(data, size)
            OPENSSL_cleanse(&phrase, phrase.count)
            data.deallocate()
        }
        guard let hash = crypt_rn(phrase, setting, data, Int32(size)) else { return nil }
        return String(cString: hash).utf8.map { $0 }
    }

    private static func checkMemory(blocksLog: Int, size: Int) throws(ShuntError) {
        guard (1...32).contains(size), (1...30).contains(blocksLog), 128 * size << blocksLog <= maximumMemory else { throw tooDear }
    }

    private static let damaged = ShuntError(
        .configInvalid, "a hash that is not whole, or of a kind that is not known",
        help: "mosquitto's $6$ and $7$, or crypt(3)'s $y$, $gy$, $2b$, $7$ and $6$: write it anew with `shunt admin passwd`")
    private static let tooDear = ShuntError(
        .configRange, "a hash that costs too much at each attempt, or too little",
        help: "at most 256MiB, cost 4 to \(maximumBcryptCost) of bcrypt, 1000 to \(maximumRounds) rounds of SHA-512")

    /// The digits of libcrypt's numbers, from the lowest.
    private static let alphabet = Array("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    private static func hasAlphabet(_ text: Substring) -> Bool { text.utf8.allSatisfy { $0.isASCIILetterOrDigit || $0 == 0x2E || $0 == 0x2F } }
    private static func isSalt(_ text: Substring) -> Bool { (1...86).contains(text.utf8.count) && hasAlphabet(text) }
    private static func isDigest(_ text: Substring, _ count: Int) -> Bool { text.utf8.count == count && hasAlphabet(text) }

    private static func value(_ text: Substring, _ at: Int) -> Int {
        alphabet.firstIndex(of: text.utf8[text.utf8.index(text.startIndex, offsetBy: at)]) ?? 0
    }
}
