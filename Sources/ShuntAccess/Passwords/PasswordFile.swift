import ShuntConfig
import ShuntCore

/// Who has which password: a file in mosquitto's format, `user:hash` a line. Lines that begin with `#` are comments.
public struct PasswordFile: Sendable {
    private var hashes: [PasswordHash] = []
    private var places: [ExactText: Int] = [:]

    /// The largest file, in bytes.
    public static let maximumSize = 64 << 20
    public static let maximumUsers = 500_000
    /// The longest name of a user, in bytes.
    public static let maximumName = 255
    /// The longest password that is looked at, in bytes.
    public static let maximumPassword = 4096

    /// - Parameter name: the file's name, for errors.
    /// - Throws: every wrong line with its number.
    public init(_ text: String, name: String) throws(ConfigurationErrors) {
        try TextLines.readEntries(of: text, name: name) { (line, _) throws(ShuntError) in try add(line) }.throwAny()
    }

    private mutating func add(_ line: String) throws(ShuntError) {
        guard let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw ShuntError(.configInvalid, "a line without a colon", help: "user:hash, as `shunt admin passwd` writes it")
        }
        let user = String(line[..<colon])
        try Self.check(user: user)
        let hash = try PasswordHash(String(line[line.utf8.index(after: colon)...]))
        guard hashes.count < Self.maximumUsers else {
            throw ShuntError(.configRange, "too many users", help: "at most \(Self.maximumUsers)")
        }
        guard places.updateValue(hashes.count, forKey: ExactText(user)) == nil else {
            throw ShuntError(.configInvalid, "a user for the second time", help: "keep one of the lines")
        }
        hashes.append(hash)
    }

    public var count: Int { hashes.count }

    public func knows(_ user: String) -> Bool { places[ExactText(user)] != nil }

    /// What tells a user's entry from a later one: the same as long as the hash is, in this process; nil for a user that is not there.
    public func stamp(of user: String) -> Int? { places[ExactText(user)].map { hashes[$0].hashValue } }

    /// Whether a user has this password. A user that is not there takes as long as one that is.
    ///
    /// It takes milliseconds of processor time: not for a loop.
    public func verify(user: String, password: Bytes) -> Bool {
        let place = places[ExactText(user)]
        // Most hashes are the same with NULs after the password.
        let isText = password.count <= Self.maximumPassword && !password.contains(0)
        let matches = (place.map { hashes[$0] } ?? stand(for: user)).matches(isText ? password : .none)
        return matches && place != nil && isText
    }

    /// The hash of some other user, always the same one for a name: names that are not there take as long as names that are,
    /// even where hashes of several kinds stand in the file.
    private func stand(for user: String) -> PasswordHash {
        guard !hashes.isEmpty else { return Self.nobody }
        return hashes[Int(ExactText(user).hashValue.magnitude % UInt(hashes.count))]
    }

    // A hash that the tests read, too.
    private static let nobody = try! PasswordHash("$y$j9T$X/UuGfdbT3cBJ5CTjalzd/$xkTrfDn3N9nvxcHSToDiXADCxIHrV9wX.zNEC7x3Lb/")

    /// - Throws: `config.range` if the text cannot be the name of a user.
    public static func check(user: String) throws(ShuntError) {
        let isClean = user.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F && $0 != ":" }
        guard (1...maximumName).contains(user.utf8.count), isClean, !user.hasPrefix("#") else {
            throw ShuntError(
                .configRange, "no user can have this name",
                help: "1 to \(maximumName) bytes without a colon or control characters, and no # at the beginning")
        }
    }
}
