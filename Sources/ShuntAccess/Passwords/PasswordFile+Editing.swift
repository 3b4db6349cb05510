import ShuntCore

/// A password file's text with another user, or without one. All other lines stay as they are.
extension PasswordFile {
    /// A hash for a password file, by yescrypt. Takes tens of milliseconds.
    /// - Throws: `usage` if the password is empty, too long for libcrypt, or has a NUL in it.
    public static func hash(_ password: [UInt8]) throws(ShuntError) -> String {
        guard !password.isEmpty else { throw ShuntError(.usage, "the password is empty", help: "give one") }
        guard password.count <= Crypt.maximumPassword, !password.contains(0) else {
            throw ShuntError(.usage, "the password cannot be hashed", help: "at most \(Crypt.maximumPassword) bytes, and no NUL")
        }
        return try Crypt.make(password)
    }

    /// Whether a text has a line for a user, right or wrong.
    public static func has(_ user: String, in text: String) -> Bool { !lines(of: user, in: text).places.isEmpty }

    /// The text with this line for a user, in the place of the user's line where there is one.
    public static func setting(_ user: String, to hash: String, in text: String) throws(ShuntError) -> String {
        try check(user: user)
        let (lines, places) = lines(of: user, in: text)
        guard let first = places.first else { return (lines + ["\(user):\(hash)"]).map { $0 + "\n" }.joined() }
        return lines.enumerated().compactMap { place, line in
            place == first ? "\(user):\(hash)\n" : places.contains(place) ? nil : line + "\n"
        }.joined()
    }

    /// The text without a user.
    /// - Throws: `not_found` if the user is not there.
    public static func removing(_ user: String, from text: String) throws(ShuntError) -> String {
        let (lines, places) = lines(of: user, in: text)
        guard !places.isEmpty else {
            throw ShuntError(.notFound, "the file has no user \(PrintableText.of(user))", help: "names are exact, letter by letter")
        }
        return lines.enumerated().compactMap { places.contains($0) ? nil : $1 + "\n" }.joined()
    }

    /// All lines, and the places of the user's.
    private static func lines(of user: String, in text: String) -> (lines: [String], places: [Int]) {
        let lines = TextLines(text).map(\.line)
        let start = Array("\(user):".utf8)
        return (lines, lines.indices.filter { lines[$0].utf8.starts(with: start) })
    }
}
