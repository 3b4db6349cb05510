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
              jwt: { keys: "https://id.example.org/jwks.json", issuer: i, audience: a, uid: name, skew: 5s, refresh: 1m, keep: 2h, ca: ca.pem }
              http: { url: "http://localhost:8080/auth?key=x", timeout: 500ms, retries: 0, concurrency: 4, cache: 0s, on_error: ignore, ca: c.pem }
            worker:
              listeners:
                open: { listen: "127.0.0.1:0", allow_anonymous: true }
                own: { listen: "127.0.0.1:0", access: { password_file: others, jwt: { keys: k.pem } } }
            """)
        var expected = Configuration.Access()
        (expected.passwordFile, expected.aclFile, expected.rules) = ("passwords", "acl", "acl.yaml")
        expected.jwt.keys = "https://id.example.org/jwks.json"
        (expected.jwt.issuer, expected.jwt.audience, expected.jwt.uid, expected.jwt.skew) = ("i", "a", "name", .seconds(5))
        (expected.jwt.refresh, expected.jwt.keep, expected.jwt.authorities) = (.seconds(60), .seconds(7200), "ca.pem")
        expected.http.url = "http://localhost:8080/auth?key=x"
        (expected.http.timeout, expected.http.retries, expected.http.concurrency) = (.milliseconds(500), 0, 4)
        (expected.http.cache, expected.http.onError, expected.http.authorities) = (.zero, .ignore, "c.pem")
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
        ("access: x", .configType), ("access: {jwt: {keys: 'http://id.example.org/jwks.json'}}", .configType),
        ("access: {http: {url: 'http://10.0.0.1/auth'}}", .configType), ("access: {http: {url: auth.json}}", .configType),
        ("access: {http: {on_error: allow}}", .configRange), ("access: {http: {timeout: 0s}}", .configRange),
        ("worker: {listeners: {a: {listen: \"127.0.0.1:0\", allow_anonymous: perhaps}}}", .configType),
        ("worker: {listeners: {a: {listen: \"127.0.0.1:0\", access: {acl: x}}}}", .configUnknownKey),
    ]

    @Test("what is wrong is told with its place", arguments: wrong)
    func errors(yaml: String, code: ErrorCode) {
        let found = ShuntConfigTests.errors(yaml)
        #expect(found.map(\.code) == [code], "\(found)")
        #expect(found.first?.location?.hasPrefix("test.yaml:1:") == true)
    }

    @Test(
        "an address of HTTP is whole, without a user, and secure unless it is this machine's",
        arguments: [
            ("https://id.example.org/jwks.json", "https://id.example.org/jwks.json"), ("https://a:8443?x=secret", "https://a:8443"),
            ("http://127.0.0.1:80/a", "http://127.0.0.1:80/a"), ("http://[::1]/a?b", "http://[::1]/a"), ("HTTP://localhost", "HTTP://localhost"),
            ("http://10.0.0.1/", nil), ("http://example.org", nil), ("https://user:password@a/", nil), ("https://", nil), ("https://a/ b", nil),
            ("https://a/#b", nil), ("ftp://a/", nil), ("keys.json", nil), ("http://localhost@evil.example/", nil), ("http://127.0.0.1.evil/", nil),
            ("http://localhost\\@evil.example/", nil),
        ] as [(String, String?)])
    func addresses(text: String, name: String?) {
        #expect(HTTPAddress(text)?.description == name)
        #expect(HTTPAddress(text)?.text == name.map { _ in text })
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
