import COpenSSL
import SeededRandom
import ShuntCore
import ShuntReactor
import Testing

@testable import ShuntTLS

@Suite("TLS as a transport")
struct TLSTransportTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func only(_ version: Int32) -> (OpaquePointer) -> Void {
        { client in
            SSL_CTX_ctrl(client, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(version), nil)
            SSL_CTX_ctrl(client, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version), nil)
        }
    }

    private func filling(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) } }

    @Test("Bytes go both ways whole, however the wire is cut", arguments: [1, 2, 5, 17, 1400, 16_389, Int.max], [TLS1_2_VERSION, TLS1_3_VERSION])
    func cuts(cut: Int, version: Int32) throws {
        let peer = Peer(try folder.context(), only(version))
        peer.cut = cut
        #expect(peer.shakeHands())
        #expect(SSL_version(peer.connection) == version)
        for count in [1, 100, 16_384, 16_385, cut == 1 ? 20_000 : 300_000] {
            peer.received = []
            peer.send(filling(count))
            peer.exchange()
            #expect(peer.received == filling(count))
            try peer.write(filling(count))
            #expect(peer.read() == filling(count))
        }
        #expect(peer.failure == nil)
    }

    @Test("What comes with the client's last word of the handshake is not lost", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func early(version: Int32) throws {
        let peer = Peer(try folder.context(), only(version))
        _ = SSL_do_handshake(peer.connection)
        peer.exchange()
        _ = SSL_do_handshake(peer.connection)
        if version == TLS1_2_VERSION {
            peer.exchange()
            _ = SSL_do_handshake(peer.connection)
        }
        peer.send(filling(9000))
        peer.exchange()
        #expect(peer.received == filling(9000))
        #expect(peer.isOpen)
    }

    @Test("Nothing is computed before the loop has its turn for it")
    func work() throws {
        let peer = Peer(try folder.context())
        _ = SSL_do_handshake(peer.connection)
        let hello = peer.takeWire()
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 64)
        defer { space.deallocate() }
        let progress = try hello.withUnsafeBytes { try peer.transport.read($0, into: space) }
        #expect(progress == TransportProgress(taken: hello.count, given: 0))
        #expect(peer.transport.hasWork)
        #expect(try peer.transport.write(Bytes(start: nil, count: 0), into: space) == TransportProgress(taken: 0, given: 0))
        try peer.transport.work()
        #expect(!peer.transport.hasWork)
        #expect(try peer.transport.write(Bytes(start: nil, count: 0), into: space).given > 500)
    }

    @Test("close_notify of the client ends the connection, and the server says its own")
    func closing() throws {
        let peer = Peer(try folder.context())
        #expect(peer.shakeHands())
        peer.send(filling(10))
        SSL_shutdown(peer.connection)
        peer.exchange()
        #expect(peer.received == filling(10))
        #expect(peer.isEnded && peer.failure == nil)
        // It may still read.
        try peer.write(filling(5))
        peer.transport.finish()
        try peer.write([])
        #expect(peer.read() == filling(5))
        #expect(SSL_get_shutdown(peer.connection) & SSL_RECEIVED_SHUTDOWN != 0)
    }

    @Test("A damaged record fails, with an alert", arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
    func damage(version: Int32) throws {
        let peer = Peer(try folder.context(), only(version))
        #expect(peer.shakeHands())
        peer.send(filling(100))
        var wire = peer.takeWire()
        wire[20] ^= 1
        peer.give(wire)
        #expect(peer.failure?.why.contains("bad record mac") ?? false, "\(String(describing: peer.failure))")
        #expect(peer.alert.contains("bad record mac"))
    }

    @Test("A record that is cut off gives nothing")
    func truncated() throws {
        let peer = Peer(try folder.context())
        #expect(peer.shakeHands())
        peer.send(filling(100))
        peer.give(peer.takeWire().dropLast())
        #expect(peer.received.isEmpty && peer.failure == nil && !peer.isEnded)
    }

    @Test(
        "Who speaks no TLS is refused",
        arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{10}\u{0c}\0\u{4}MQTT\u{4}\u{2}\0\0\0\0", "\0\0\0\0\0\0\0\0"])
    func plain(text: String) throws {
        let figures = TLSFigures()
        let peer = Peer(try folder.context(figures: figures))
        peer.give(Array(text.utf8))
        #expect(peer.failure != nil && figures.failures(.notTLS) == 1, "\(String(describing: peer.failure))")
    }

    @Test("Random bytes never open it, and never crash it", arguments: 1...200)
    func garbage(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let peer = Peer(try folder.context())
        _ = SSL_do_handshake(peer.connection)
        var wire = peer.takeWire()
        for _ in 0..<3 { wire[Int(random.next() % UInt64(wire.count))] = UInt8(truncatingIfNeeded: random.next()) }
        if seed % 3 == 0 { wire = Array(wire[..<Int(random.next() % UInt64(wire.count))]) }
        peer.cut = Int(1 + random.next() % 300)
        peer.give(wire)
        peer.give((0..<400).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        #expect(!peer.isOpen && peer.received.isEmpty)
    }

    @Test("Renegotiation is refused, and the connection goes on")
    func renegotiation() throws {
        let peer = Peer(try folder.context(), only(TLS1_2_VERSION))
        #expect(peer.shakeHands())
        #expect(SSL_renegotiate(peer.connection) == 1)
        _ = SSL_do_handshake(peer.connection)
        peer.exchange()
        #expect(SSL_do_handshake(peer.connection) != 1)
        #expect(lastError.contains("renegotiation"))
        #expect(peer.failure == nil)
        if case .open = peer.transport.phase { return }
        Issue.record("\(peer.transport.phase)")
    }

    @Test("A key update is answered, also in the middle of data")
    func keyUpdate() throws {
        let peer = Peer(try folder.context(), only(TLS1_3_VERSION))
        #expect(peer.shakeHands())
        for round in 0..<3 {
            #expect(SSL_key_update(peer.connection, Int32(SSL_KEY_UPDATE_REQUESTED)) == 1)
            peer.send(filling(1000 + round))
            peer.exchange()
            try peer.write(filling(500 + round))
            #expect(peer.read() == filling(500 + round))
        }
        #expect(peer.received.count == 3003 && peer.failure == nil)
    }

    @Test("A client that floods with key updates and reads nothing is cut off")
    func keyUpdateFlood() throws {
        let peer = Peer(try folder.context(), only(TLS1_3_VERSION))
        #expect(peer.shakeHands())
        var wire: [UInt8] = []
        for _ in 0..<20_000 {
            SSL_key_update(peer.connection, Int32(SSL_KEY_UPDATE_REQUESTED))
            _ = SSL_do_handshake(peer.connection)
            wire += peer.takeWire()
        }
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 64)
        defer { space.deallocate() }
        #expect(throws: TransportFailure.self) { try wire.withUnsafeBytes { _ = try peer.transport.read($0, into: space) } }
    }

    @Test("Versions below the minimum are refused", arguments: [TLS1_1_VERSION, TLS1_2_VERSION])
    func minimum(version: Int32) throws {
        let figures = TLSFigures()
        let context = try folder.context(figures: figures) { if version == TLS1_2_VERSION { $0.minimum = .tls13 } }
        let peer = Peer(context) { client in
            only(version)(client)
            SSL_CTX_set_security_level(client, 0)
            SSL_CTX_set_cipher_list(client, "ALL:@SECLEVEL=0")
        }
        #expect(!peer.shakeHands())
        #expect(figures.failures(.version) == 1, "\(String(describing: peer.failure))")
        #expect(peer.alert.contains("protocol version"))
    }

    @Test("Suites without forward secrecy or authenticated encryption are refused", arguments: ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA"])
    func suites(name: String) throws {
        let figures = TLSFigures()
        let peer = Peer(try folder.context(figures: figures)) { client in
            only(TLS1_2_VERSION)(client)
            SSL_CTX_set_cipher_list(client, name)
        }
        #expect(!peer.shakeHands())
        #expect(figures.failures(.cipher) == 1)
    }

    @Test("ALPN: the protocol is chosen where it is offered; others are refused; none is fine")
    func applicationProtocols() throws {
        let context = try folder.context { $0.applicationProtocols = ["mqtt"] }
        func offering(_ names: [String]) -> Peer {
            let offer = names.flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) }
            return Peer(context) { if !offer.isEmpty { SSL_CTX_set_alpn_protos($0, offer, UInt32(offer.count)) } }
        }
        let fitting = offering(["h2", "mqtt"])
        #expect(fitting.shakeHands() && fitting.transport.applicationProtocol == "mqtt")
        #expect(TLSContext.applicationProtocol(of: fitting.connection) == "mqtt")
        let none = offering([])
        #expect(none.shakeHands() && none.transport.applicationProtocol == nil)
        let other = offering(["http/1.1"])
        #expect(!other.shakeHands() && context.figures.failures(.applicationProtocol) == 1)
    }
}
