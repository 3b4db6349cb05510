import SeededRandom
import ShuntCore
import Testing

@testable import ShuntReactor

@Suite("A proxy's header (HAProxy's proxy-protocol.txt)")
struct ProxyHeaderTests {
    private func read(_ bytes: some Sequence<UInt8>) -> ProxyHeader.Outcome { Array(bytes).withUnsafeBytes { ProxyHeader.read($0) } }

    private static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    private static func header(_ command: UInt8, _ family: UInt8, _ rest: [UInt8]) -> [UInt8] {
        signature + [command, family, UInt8(rest.count >> 8), UInt8(rest.count & 0xFF)] + rest
    }

    private static let ipv4: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0x01, 0xBB]
    private static let ipv6: [UInt8] =
        [0x20, 1, 0xD, 0xB8] + Array(repeating: 0, count: 11) + [9] + [UInt8](repeating: 1, count: 16) + [0xDC, 0x04, 0x01, 0xBB]

    @Test(
        "§2.1: version 1 names the client",
        arguments: [
            ("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1:56324"),
            ("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
            ("PROXY TCP6 2001:db8::9 ::1 56324 443\r\n", "[2001:db8::9]:56324"),
            (
                "PROXY TCP6 ffff:f:ffff:ffff:ffff:ffff:ffff:ffff ffff:f:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                "[ffff:f:ffff:ffff:ffff:ffff:ffff:ffff]:65535"
            ),
            ("PROXY UNKNOWN\r\n", nil),
            ("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", nil),
        ] as [(String, String?)])
    func line(text: String, client: String?) {
        guard case .complete(let size, let found) = read(text.utf8 + Array("rest".utf8)) else {
            Issue.record("\(text) is not read")
            return
        }
        #expect(size == text.utf8.count)
        #expect(found?.description == client)
        for count in 0..<text.utf8.count { #expect(read(text.utf8.prefix(count)) == .needMore) }
    }

    @Test(
        "§2.2: version 2 names the client; additions are skipped",
        arguments: [
            (header(0x21, 0x11, ipv4), "192.0.2.1:56324"),
            (header(0x21, 0x21, ipv6), "[2001:db8::9]:56324"),
            (header(0x21, 0x11, ipv4 + [0x02, 0, 3, 0x61, 0x62, 0x63]), "192.0.2.1:56324"),
            (header(0x21, 0x21, ipv6 + [UInt8](repeating: 4, count: 4096 - 16 - 36)), "[2001:db8::9]:56324"),
            // LOCAL: a health check, with or without what is to be ignored.
            (header(0x20, 0x00, []), nil), (header(0x20, 0x11, ipv4), nil), (header(0x20, 0x11, []), nil),
            // Of no family, of datagrams, of Unix sockets.
            (header(0x21, 0x00, []), nil), (header(0x21, 0x00, [1, 2, 3]), nil), (header(0x21, 0x12, ipv4), nil),
            (header(0x21, 0x31, [UInt8](repeating: 0x2F, count: 216)), nil),
        ] as [([UInt8], String?)])
    func binary(header: [UInt8], client: String?) {
        guard case .complete(let size, let found) = read(header + [1, 2, 3]) else {
            Issue.record("\(header) is not read")
            return
        }
        #expect(size == header.count)
        #expect(found?.description == client)
        for count in 0..<header.count { #expect(read(header.prefix(count)) == .needMore) }
    }

    @Test(
        "What is no header, or a wrong one, is refused as soon as that shows",
        arguments: [
            Array("GET / HTTP/1.1\r\n".utf8), [0x71], Array("PROXX".utf8), Array("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n".utf8),
            Array("PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n".utf8), Array("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n".utf8),
            Array("PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n".utf8), Array("PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n".utf8),
            Array("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n".utf8), Array("PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n".utf8),
            Array("PROXY TCP4 ::1 ::1 1 2\r\n".utf8), Array("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n".utf8),
            Array("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx".utf8), Array("PROXY \r\n".utf8),
            Array("PROXY UNKNOWN ".utf8) + [UInt8](repeating: 0x61, count: 93),
            Array(signature.prefix(11)) + [0x0B], header(0x11, 0x11, ipv4), header(0x22, 0x11, ipv4), header(0x21, 0x41, ipv4),
            header(0x21, 0x13, ipv4), header(0x21, 0x11, Array(ipv4.dropLast())), header(0x21, 0x21, ipv4),
            header(0x21, 0x31, ipv4), Array(header(0x21, 0x11, [UInt8](repeating: 0, count: 4096 - 15)).prefix(16)),
        ])
    func refused(bytes: [UInt8]) {
        guard case .malformed(let why) = read(bytes) else {
            Issue.record("\(bytes) is taken")
            return
        }
        #expect(why.contains("PROXY"))
    }

    @Test("Damaged headers are read without harm, and take no more than they say", arguments: 1...20)
    func damaged(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let headers = [
            Self.header(0x21, 0x11, Self.ipv4), Self.header(0x21, 0x21, Self.ipv6), Array("PROXY TCP4 192.0.2.1 192.0.2.7 56324 443\r\n".utf8),
        ]
        for _ in 0..<2000 {
            var bytes = headers[Int(random.next() % 3)]
            for _ in 0..<1 + random.next() % 4 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            bytes = Array(bytes.prefix(Int(random.next() % UInt64(bytes.count + 1))))
            if case .complete(let size, _) = read(bytes) { #expect(size <= bytes.count) }
        }
    }

    @Test("A connection has the client's address, and gets what follows, however the header is cut", arguments: [0, 1, 5, 17, 43])
    func connection(cut: Int) throws {
        let fixture = try LoopFixture { ProxyHeaderReader() }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        let frame = LoopFixture.frame(1, of: 3000)
        let sent = Array("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".utf8) + frame
        client.send(sent.prefix(cut))
        if cut > 0 { fixture.seen.wait(for: "the first piece") { $0.figures.bytesIn == cut } }
        client.send(sent.dropFirst(cut))
        #expect(client.receive(3000) == frame)
        #expect(fixture.seen.now.opened == ["192.0.2.1:56324"])
        client.send(frame)
        #expect(client.receive(3000) == frame)
    }

    @Test("A proxy's own check has the socket's address; a client without a header is closed and counted")
    func others() throws {
        let fixture = try LoopFixture { ProxyHeaderReader() }
        defer { fixture.stop() }
        let check = fixture.connect()
        check.send(Self.header(0x20, 0x00, []))
        fixture.seen.wait(for: "the opening") { $0.opened.count == 1 && $0.opened[0].hasPrefix("127.0.0.1:") }
        check.close()
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer] }
        let stranger = fixture.connect()
        defer { stranger.close() }
        stranger.send([0x71, 0, 0])
        #expect(stranger.receive(1).isEmpty)
        let why = CloseReason.byUs(why: "no PROXY header at the start of the connection (protocol.proxy)")
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer, why] && $0.figures.errors == 1 }
        #expect(fixture.seen.now.opened.count == 1)
    }
}
