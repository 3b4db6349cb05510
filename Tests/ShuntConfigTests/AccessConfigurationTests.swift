import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("access: of all listeners, and of one")
struct AccessConfigurationTests {
    @Test("each key is read, and a listener has its own")
    func keys() throws {
        let configuration = try load(
            """
            access:
              password_file: passwords
              acl_file: acl
              rules: acl.yaml
              jwt: { keys: "https://id.example.org/jwks.json", issuer: i, audience: a, uid: name, skew: 5s }
            worker:
              listeners:
                open: { listen: "127.0.0.1:0", allow_anonymous: true }
                own: { listen: "127.0.0.1:0", access: { password_file: others, jwt: { keys: k.pem } } }
            """)
        var expected = Configuration.Access()
        (expected.passwordFile, expected.aclFile, expected.rules) = ("passwords", "acl", "acl.yaml")
        expected.jwt.keys = "https://id.example.org/jwks.json"
        (expected.jwt.issuer, expected.jwt.audience, expected.jwt.uid, expected.jwt.skew) = ("i", "a", "name", .seconds(5))
        #expect(configuration.access == expected)
        let open = try #require(configuration.worker.listeners["open"])
        #expect(open.allowAnonymous && open.access.isEmpty)
        let own = try #require(configuration.worker.listeners["own"])
        #expect(!own.allowAnonymous && own.access.passwordFile == "others" && own.access.jwt.keys == "k.pem" && own.access.aclFile.isEmpty)
    }

    @Test("nothing is set, and nobody may come in unnamed, until the file says so")
    func defaults() throws {
        let configuration = try load("")
        #expect(configuration.access.isEmpty)
        #expect(configuration.worker.listeners.values.allSatisfy { $0.access.isEmpty })
        #expect(!(try #require(try load("worker: { listeners: { a: { listen: a:1 } } }").worker.listeners["a"]).allowAnonymous))
    }

    static let wrong: [(String, ErrorCode)] = [
        ("access: {passwords: x}", .configUnknownKey), ("access: {jwt: {skew: 1h}}", .configRange), ("access: {jwt: {uid: ''}}", .configRange),
        ("access: x", .configType),
        ("worker: {listeners: {a: {listen: \"127.0.0.1:0\", allow_anonymous: perhaps}}}", .configType),
        ("worker: {listeners: {a: {listen: \"127.0.0.1:0\", access: {acl: x}}}}", .configUnknownKey),
    ]

    @Test("what is wrong is told with its place", arguments: wrong)
    func errors(yaml: String, code: ErrorCode) {
        let found = ShuntConfigTests.errors(yaml)
        #expect(found.map(\.code) == [code], "\(found)")
        #expect(found.first?.location?.hasPrefix("test.yaml:1:") == true)
    }

    @Test("files of access are taken on live, the listeners' own at the next start")
    func changes() throws {
        let old = try load("access: {acl_file: a}")
        let (live, restart) = Configuration.changes(from: old, to: try load("access: {acl_file: b}"))
        #expect(live.map(\.description) == ["access.acl_file: a → b"] && restart.isEmpty)
        var taken = old
        taken.takeLive(from: try load("access: {acl_file: b}"))
        #expect(taken.access.aclFile == "b")
    }
}
