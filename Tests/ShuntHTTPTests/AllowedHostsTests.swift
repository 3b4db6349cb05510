import RawHTTP
import ShuntCore
import Testing

@testable import ShuntHTTP

@Suite struct AllowedHostsTests {
    private static let hosts = AllowedHosts(["Master.Example.org.", "*.internal", "10.0.0.1", ""], key: "some.key")

    @Test(
        "An address, localhost and the configured names are allowed, with or without a port, in any case",
        arguments: [
            "127.0.0.1", "127.0.0.1:4080", "10.1.2.3", "[::1]", "[::1]:4080", "[fe80::1%25eth0]:1", "localhost", "LOCALHOST:4080", "localhost.",
            "a.localhost", "master.example.org", "MASTER.example.ORG.:80", "w1.internal:9091", "a.b.internal", "localhost:",
        ])
    func allowed(_ host: String) throws {
        try Self.hosts.check(host)
    }

    @Test(
        "Any other name is host.unknown, and the error names the key",
        arguments: [
            "evil.example", "evil.example:4080", "internal", "xinternal", "master.example.org.evil.example", "127.0.0.1.evil.example",
            "localhost.evil.example", "0x7f.0.0.1", "2130706433", "1.2.3",
        ])
    func unknown(_ host: String) {
        #expect("\(host)") { try Self.hosts.check(host) } throws: { error in
            guard let error = error as? ShuntError else { return false }
            return error.code == .hostUnknown && error.code.status == 421 && error.help?.contains("some.key") == true
        }
    }

    @Test(
        "What is no host is request.invalid",
        arguments: [
            "", ":80", "user@localhost", "localhost:80:80", "::1", "[::1", "[::1]x", "[localhost]", "local host", "localhost:x", "localhost:123456",
            "localhost/", "a,b", "löcalhost", ".",
        ])
    func invalid(_ host: String) {
        #expect("\(host)") { try Self.hosts.check(host) } throws: { ($0 as? ShuntError)?.code == .requestInvalid }
    }

    @Test(
        "The host of an absolute target counts, and there must be one Host from HTTP/1.1 on",
        arguments: [
            ("/", ["localhost"], true, nil), ("/", [], false, nil), ("/", [], true, .requestInvalid),
            ("/", ["localhost", "localhost"], false, .requestInvalid),
            ("http://localhost/things", ["localhost"], true, nil), ("http://evil.example/things", ["localhost"], true, .hostUnknown),
            ("http://evil.example?a", ["localhost"], true, .hostUnknown), ("http://u@localhost/", ["localhost"], true, .requestInvalid),
            ("http://localhost/", ["evil.example"], true, .hostUnknown), ("/a?b=http://c/", ["localhost"], true, nil),
            ("*", ["localhost"], true, nil),
        ] as [(String, [String], Bool, ErrorCode?)])
    func targets(_ target: String, _ hosts: [String], _ isRequired: Bool, _ code: ErrorCode?) {
        var found: ErrorCode?
        do throws(ShuntError) { try Self.hosts.check(target: target, hosts: hosts, isRequired: isRequired) } catch { found = error.code }
        #expect(found == code)
    }
}
