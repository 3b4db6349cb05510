import ShuntConfig
import ShuntCore
import Testing

@testable import ShuntAccess

@Suite struct ClusterSecretTests {
    private static let reader = "readers-token-0123456789"
    private static let operatorToken = "operators-token-0123456789"

    private static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    @Test("Digests are those of RFC 4231 and FIPS 180-2") func digests() {
        #expect(
            Self.hex(Digest.sha256(Array("abc".utf8))) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(
            Self.hex(Digest.hmac(key: Array("Jefe".utf8), Array("what do ya want for nothing?".utf8)))
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            Self.hex(Digest.hmac(key: [UInt8](repeating: 0xaa, count: 131), Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8)))
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }

    @Test("A token is found by itself, in the clear or hashed, and nothing near it is") func found() throws {
        let digest = Self.hex(Digest.sha256(Array(Self.operatorToken.utf8)))
        let tokens = try AdminTokens("# who\n\nread:dash board:\(Self.reader)\r\noperate:ops:sha256=\(digest.uppercased())\n", name: "tokens")
        #expect(tokens.holder(of: Self.reader) == .init(name: "dash board", role: .read))
        #expect(tokens.holder(of: Self.operatorToken) == .init(name: "ops", role: .operate))
        for wrong in ["", "x", Self.reader + "x", String(Self.reader.dropLast()), digest, "sha256=" + digest, String(repeating: "a", count: 5000)] {
            #expect(tokens.holder(of: wrong) == nil)
        }
    }

    @Test(
        "A wrong line is told with its place, and nothing of its secret",
        arguments: [
            ("secret-secret-secret", "config.invalid"), ("read:secret-secret-secret", "config.invalid"),
            ("write:ops:secret-secret-secret", "config.invalid"), ("read::secret-secret-secret", "config.range"),
            ("read:ops:", "config.range"), ("read:ops:secret", "config.range"), ("read:ops:secret secret secret", "config.range"),
            ("read:ops:sha256=secret", "config.invalid"), ("read:ops:sha256=" + String(repeating: "0g", count: 32), "config.invalid"),
            ("read:ok:secret-secret-secret", "config.invalid"), ("read:other:first-first-first-first", "config.invalid"),
        ])
    func wrong(line: String, code: String) throws {
        let error = try #require(throws: ConfigurationErrors.self) {
            try AdminTokens("read:ok:first-first-first-first\n\(line)", name: "tokens")
        }
        #expect(error.errors.map(\.code.rawValue) == [code])
        #expect(error.errors.first?.location == "tokens:2")
        #expect(!error.description.contains("secret") && !error.description.contains("first"))
    }

    @Test("All wrong lines are told, and a file without tokens is none") func all() throws {
        let error = try #require(throws: ConfigurationErrors.self) { try AdminTokens("x\ny\n", name: "tokens") }
        #expect(error.errors.map(\.location) == ["tokens:1", "tokens:2"])
        for empty in ["", "\n\n", "# read:ops:aaaaaaaaaaaaaaaaaaaaaaaa\n"] {
            let error = try #require(throws: ConfigurationErrors.self) { try AdminTokens(empty, name: "tokens") }
            #expect(error.errors.map(\.code) == [.configMissing])
        }
    }

    @Test("There are so many tokens and no more") func bounded() throws {
        let lines = (0...AdminTokens.maximumTokens).map { "read:n\($0):token-of-some-length-\($0)" }
        _ = try AdminTokens(lines.dropLast().joined(separator: "\n"), name: "tokens")
        #expect(throws: ConfigurationErrors.self) { try AdminTokens(lines.joined(separator: "\n"), name: "tokens") }
    }

    @Test("A cluster's token is a line of a file, of several the first is proved") func cluster() throws {
        let one = try ClusterToken("a-token-of-the-cluster\n", name: "t")
        let two = try ClusterToken("# new\nanother-one-of-the-cluster\n  a-token-of-the-cluster\r\n", name: "t")
        #expect((one.count, two.count) == (1, 2))
        #expect(one.proof(0, of: [1]) == two.proof(1, of: [1]))
        #expect(one.proof(0, of: [1]) != two.proof(0, of: [1]) && one.proof(0, of: [1]) != one.proof(0, of: [2]))
        for (wrong, code) in [("", ErrorCode.configMissing), ("# x\n", .configMissing), ("short", .configRange)] {
            let error = try #require(throws: ShuntError.self) { try ClusterToken(wrong, name: "t") }
            #expect(error.code == code && !error.description.contains("short;"))
        }
        let many = (0...ClusterToken.maximumTokens).map { "a-token-of-the-cluster-\($0)" }.joined(separator: "\n")
        #expect(throws: ShuntError.self) { try ClusterToken(many, name: "t") }
    }
}
