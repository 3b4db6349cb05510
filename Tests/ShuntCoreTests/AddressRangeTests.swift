import ShuntCore
import Testing

@Suite("Ranges of addresses")
struct AddressRangeTests {
    @Test(
        "Has the addresses that begin alike, of its own family",
        arguments: [
            ("10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "a00::"]),
            ("192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8"]),
            ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::1"]),
            ("::/0", ["::1", "ffff::"], ["127.0.0.1"]),
            ("2001:db8::/33", ["2001:db8::1", "2001:db8:7fff::"], ["2001:db8:8000::", "2001:db9::"]),
            ("2001:db8::4/126", ["2001:db8::4", "2001:db8::7"], ["2001:db8::3", "2001:db8::8"]),
            ("::1", ["::1"], ["::2", "0.0.0.1"]),
            ("::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.0.0.0"]),
        ] as [(String, [String], [String])])
    func contains(text: String, inside: [String], outside: [String]) throws {
        let range = try #require(AddressRange(text))
        for host in inside { #expect(range.contains(try #require(PeerAddress(host: host))), "\(host)") }
        for host in outside { #expect(!range.contains(try #require(PeerAddress(host: host))), "\(host)") }
        #expect(AddressRange(range.description) == range)
    }

    @Test(
        "What is none, or has bits that its length leaves out, is refused",
        arguments: [
            "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.1/8", "10.0.0/8", "::/129", "2001:db8::1/64",
            "localhost", "127.0.0.1:80", "10.0.0.0/8/8", "::ffff:10.0.0.1/104", "[::1]",
        ])
    func refused(text: String) {
        #expect(AddressRange(text) == nil)
    }
}
