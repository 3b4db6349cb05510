import FoundationEssentials
import Glibc
import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntAccess

@Suite("Password files")
struct PasswordFileTests {
    /// Made by mosquitto_passwd 2.0.11 and by crypt(3) of libcrypt 4.4.33.
    static let lines = [
        ("ann", "secret", "$6$1Zdxqfwidm0VIzMQ$5O0RO5axoFH5irNjB7kpQZ7e9xiydOGu3AhhtVbvlzSfAI0PI6DnEsIybgm7Buxu+q1mBeia5hn6nw1LovkFYg=="),
        ("bob", "pass word", "$7$101$DfeFZNC2pugWjXAk$qW0RFL3jQPpqxceUkpuCBg7widfNH1M3d8O24FimvI9reIG4YCzxxo0gZwQM5FfB6vFy8y3JvrZ0ZbIa99YvpA=="),
        ("yescrypt", "secret", "$y$j9T$X/UuGfdbT3cBJ5CTjalzd/$xkTrfDn3N9nvxcHSToDiXADCxIHrV9wX.zNEC7x3Lb/"),
        ("gost", "secret", "$gy$j9T$orjFX2i5xJJnrI2YGbSGf1$ZsbSI7x01.33WIiHisBJ1hY82bcpNj6VEvt9RlPb6L3"),
        ("bcrypt", "secret", "$2b$05$ogDuzKHhAuQZu7mQy5N84.I5Hg4ajUiZYEkF4JKqleazCZb.5k/5q"),
        ("php", "secret", "$2y$05$r57fabA/kKfOP0U9DBUpmey6n9GmymAqOK8gUOycyodIe2YkHZ7PW"),
        ("scrypt", "secret", "$7$CU..../....f/UxtUSq6BFeDJarDNium1$ADXACJoHMypUb4UZ6fb3WYO2hUoXIySmRjxJTW9lVX."),
        ("sha512crypt", "secret", "$6$nf1xIs3b.GjU0T1H$e5ynM.vQTJcjWbD/UVMW9HAnNDekB0sGgNv.0JdJNWECuTD18QcwZTmSc.9xizvXqCmupF6i7sOMake1eCQcQ/"),
    ]

    static let text = "\u{FEFF}# made by hand\n\n" + lines.map { "\($0.0):\($0.2)" }.joined(separator: "\r\n") + "\n"

    @Test("each kind of hash takes its password, and no other", arguments: lines.map(\.0))
    func kinds(user: String) throws {
        let file = try PasswordFile(Self.text, name: "passwords")
        let password = try #require(Self.lines.first { $0.0 == user }).1
        #expect(bytes(password) { file.verify(user: user, password: $0) })
        for wrong in ["", "Secret", password + " ", password + "\0", password + "\0x", String(repeating: "x", count: 5000)] {
            #expect(!bytes(wrong) { file.verify(user: user, password: $0) }, "\(wrong)")
        }
    }

    @Test("a user that is not there has no password, not even the one of the user whose hash stands in")
    func unknown() throws {
        let file = try PasswordFile(Self.text, name: "passwords")
        for (_, password, _) in Self.lines { #expect(!bytes(password) { file.verify(user: "nobody", password: $0) }) }
        #expect(!bytes("secret") { file.verify(user: "", password: $0) })
        let empty = try PasswordFile("", name: "passwords")
        #expect(!bytes("secret") { empty.verify(user: "ann", password: $0) })
        #expect(file.knows("ann") && !file.knows("Ann") && file.count == Self.lines.count)
    }

    @Test("an unknown user takes as long as a known one")
    func time() throws {
        let file = try PasswordFile("ann:\(Self.lines[2].2)\n", name: "passwords")
        func time(_ user: String) -> Duration {
            (0..<3).map { _ in ContinuousClock().measure { _ = bytes("wrong") { file.verify(user: user, password: $0) } } }.min() ?? .zero
        }
        // A hash takes tens of milliseconds, all else microseconds.
        let (known, unknown) = (time("ann"), time("nobody"))
        #expect(unknown > known / 4 && known > .milliseconds(1))
    }

    private static let digest = lines[1].2.suffix(88)
    private static let cryptDigest = lines[7].2.suffix(86)
    private static let unknown = "a hash that is not whole, or of a kind that is not known"
    private static let dear = "a hash that costs too much at each attempt, or too little"

    static let wrong: [(String, String)] = [
        ("ann", "a line without a colon"),
        (":$6$x", "no user can have this name"),
        ("ann:secret", "no hash after the user's name"),
        ("ann:", "no hash after the user's name"),
        ("a\tb:$y$j9T$x$x", "no user can have this name"),
        ("ann:$6$1Zdxqfwidm0VIzMQ$5O0RO5axoFH5==", "a hash that is not whole"),
        ("ann:$7$101$DfeFZ*C2pugWjXAk$\(digest)", "a hash that is not whole"),
        ("ann:$7$0$DfeFZNC2pugWjXAk$\(digest)", "a hash with a wrong number of iterations"),
        ("ann:$7$99999999$DfeFZNC2pugWjXAk$\(digest)", "a hash with a wrong number of iterations"),
        ("ann:$1$abc$def", unknown),
        ("ann:$y$j9T$X/UuGfdbT3cBJ5CTjalzd/$xkTrfDn3", unknown),
        ("ann:$", unknown),
        ("ann:$y$jFT$X/UuGfdbT3cBJ5CTjalzd/$xkTrfDn3N9nvxcHSToDiXADCxIHrV9wX.zNEC7x3Lb/", dear),
        ("ann:$2b$31$ogDuzKHhAuQZu7mQy5N84.I5Hg4ajUiZYEkF4JKqleazCZb.5k/5q", dear),
        ("ann:$6$rounds=999999999$salt$\(cryptDigest)", dear),
    ]

    @Test("a wrong line is an error with its number", arguments: wrong)
    func wrongLines(line: String, message: String) {
        let found = errors { () throws(ConfigurationErrors) in _ = try PasswordFile("# 1\n\(line)\n", name: "passwords") }
        #expect(found == ["passwords:2: \(message)"])
    }

    @Test("of a user that stands twice the second line is wrong, and all errors are told at once")
    func twice() {
        let text = "ann:\(Self.lines[0].2)\nx\nann:\(Self.lines[1].2)"
        let found = errors { () throws(ConfigurationErrors) in _ = try PasswordFile(text, name: "p") }
        #expect(found == ["p:2: a line without a colon", "p:3: a user for the second time"])
    }

    @Test("a hash that is made here is taken here, and is another one each time")
    func making() throws {
        func hash(_ password: String) throws(ShuntError) -> String {
            try PasswordFile.hash(Array(password.utf8))
        }
        let (one, other) = (try hash("secret"), try hash("secret"))
        #expect(one.hasPrefix("$y$") && one != other)
        let file = try PasswordFile("ann:\(one)", name: "p")
        #expect(bytes("secret") { file.verify(user: "ann", password: $0) })
        for wrong in ["", String(repeating: "x", count: 512), "a\0b"] { #expect(throws: ShuntError.self) { try hash(wrong) } }
    }

    @Test("an edit changes the lines of its user alone")
    func editing() throws {
        let text = "# who may\nann:1\n\nbob:2\nann:3"
        #expect(try PasswordFile.setting("ann", to: "9", in: text) == "# who may\nann:9\n\nbob:2\n")
        #expect(try PasswordFile.setting("eve", to: "9", in: text) == text + "\neve:9\n")
        #expect(try PasswordFile.setting("eve", to: "9", in: "") == "eve:9\n")
        #expect(try PasswordFile.removing("ann", from: text) == "# who may\n\nbob:2\n")
        #expect(throws: ShuntError.self) { try PasswordFile.removing("an", from: text) }
        #expect(throws: ShuntError.self) { try PasswordFile.setting("a:b", to: "9", in: text) }
        #expect(throws: ShuntError.self) { try PasswordFile.setting("a\nb", to: "9", in: text) }
    }

    @Test("files of mosquitto_passwd are read, in both formats", .enabled(if: access("/usr/bin/mosquitto_passwd", X_OK) == 0))
    func mosquitto() throws {
        let path = FileManager.default.temporaryDirectory.appending(path: "passwords-\(UUID().uuidString)").path
        defer { unlink(path) }
        for (arguments, user) in [(["-H", "sha512", "-c", "-b"], "ann"), (["-H", "sha512-pbkdf2", "-b"], "bob"), (["-b"], "eve")] {
            try start(["/usr/bin/mosquitto_passwd"] + arguments + [path, user, "pass:\(user)"])
        }
        let file = try PasswordFile(String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self), name: path)
        #expect(file.count == 3)
        for user in ["ann", "bob", "eve"] {
            #expect(bytes("pass:\(user)") { file.verify(user: user, password: $0) })
            #expect(!bytes("pass:other") { file.verify(user: user, password: $0) })
        }
    }

    private func start(_ arguments: [String]) throws {
        var pid: pid_t = 0
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { words.forEach { free($0) } }
        #expect(posix_spawn(&pid, arguments[0], nil, nil, &words, nil) == 0)
        var status: Int32 = -1
        #expect(waitpid(pid, &status, 0) == pid && status == 0)
    }
}
