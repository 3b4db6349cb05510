import ShuntCore
import Testing

@Suite("A host and a port") struct HostPortTests {
    @Test(
        "are read and written",
        arguments: [
            ("127.0.0.1:4088", "127.0.0.1", 4088), ("master-1.internal:1", "master-1.internal", 1), ("[::1]:65535", "::1", 65535),
            ("[fe80::1%eth0]:1", "fe80::1%eth0", 1), ("a-b.c_d:80", "a-b.c_d", 80), ("localhost.:80", "localhost.", 80),
        ])
    func right(_ text: String, _ host: String, _ port: Int) {
        #expect(HostPort(text) == HostPort(host, port))
        #expect(HostPort(host, port).description == text)
    }

    @Test(
        "are nothing else",
        arguments: [
            "", ":", ":1", "a", "a:", "a:x", "a:65536", "a:-1", "a:+1", "a:1 ", "a:000001", "::1:80", "[::1]", "[]:1", "[a]:1", "[::1%]:1",
            "[1.2.3.4]:1", "a..b:1", ".a:1", "-a:1", "a b:1", "a:1:2", "ä:1", "a/b:1", "*:1", "a\u{7}:1", ".:1", "a..:1",
        ])
    func wrong(_ text: String) {
        #expect(HostPort(text, ports: 0...65_535) == nil)
    }

    @Test("Port 0 is one to listen on alone")
    func anyPort() {
        #expect(HostPort("a:0") == nil)
        #expect(HostPort("a:0", ports: 0...65_535) == HostPort("a", 0))
        #expect(HostPort("a:9", ports: 0...8) == nil)
    }

    @Test(
        "The port may be left out where there is a usual one",
        arguments: [
            ("a", HostPort("a", 7)), ("a:8", HostPort("a", 8)), ("[::1]", HostPort("::1", 7)), ("::1", HostPort("::1", 7)),
            ("[::1]:8", HostPort("::1", 8)), ("a:", nil), ("", nil), ("[::1", nil), ("[a]", nil), ("a:0", nil), ("a b", nil),
        ])
    func defaultPort(_ text: String, _ expected: HostPort?) {
        #expect(HostPort(text, defaultPort: 7) == expected)
    }

    @Test("come in lists")
    func lists() throws {
        #expect(try HostPort.list("a:1, b:1,c:1") == [HostPort("a", 1), HostPort("b", 1), HostPort("c", 1)])
        #expect(try HostPort.list("a, b:1", defaultPort: 7) == [HostPort("a", 7), HostPort("b", 1)])
        for text in ["", "a:1,", "a:1,b", "a:1;b:1"] { #expect(throws: ShuntError.self) { try HostPort.list(text) } }
    }
}
