import Foundation
import NIOCore
import NIOEmbedded
import SeededRandom
import ShuntCore
import ShuntTLS
import Testing

@testable import ShuntTLSNIO

@Suite("TLS in a channel")
struct TLSHandlerTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func client(_ authority: String = "ca.pem", certificate: String? = nil) throws -> TLSClient {
        try TLSClient(
            authorities: folder.file(authority), certificate: certificate.map { folder.file($0 + ".pem") },
            key: certificate.map { folder.file($0 + ".key") })
    }

    @Test("Bytes go both ways whole, however the wire is cut", arguments: [1, 3, 100, 1400, 16_389, Int.max])
    func cuts(cut: Int) throws {
        let pair = try Pair(client: client(), server: folder.context())
        pair.cut = cut
        try pair.open()
        for count in [1, 100, 16_384, 16_385, cut == 1 ? 20_000 : 300_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            #expect(try pair.send(bytes, from: pair.client, to: pair.server) == bytes)
            #expect(try pair.send(bytes, from: pair.server, to: pair.client) == bytes)
        }
    }

    @Test("Nothing is decrypted while nobody wants to read, and nothing is lost")
    func unwanted() throws {
        let pair = try Pair(client: client(), server: folder.context())
        try pair.open()
        // The reads that the handshake asked for are used up.
        #expect(try pair.send([1], from: pair.server, to: pair.client) == [1])
        try pair.server.writeOutbound(ByteBuffer(bytes: [2]))
        try pair.pass(from: pair.server, to: pair.client)
        #expect(pair.received(by: pair.client) == [])
        pair.client.read()
        #expect(pair.received(by: pair.client) == [2])
        // What came before the end counts.
        try pair.server.writeOutbound(ByteBuffer(bytes: [3]))
        try pair.pass(from: pair.server, to: pair.client)
        pair.client.pipeline.fireChannelInactive()
        #expect(pair.received(by: pair.client) == [3])
    }

    @Test("A server's certificate must be for the host, and signed by a known authority, and valid")
    func certificates() throws {
        try folder.put(try CertificateMaker(days: 30).make(.authority, name: "Others"), "others")
        let wrongName = try Pair(client: client(), server: folder.context(), host: "elsewhere.example").failure()
        #expect(wrongName?.code == .tlsHandshake && wrongName?.message.contains("for other names than 'elsewhere.example'") == true)
        let wrongAddress = try Pair(client: client(), server: folder.context(), host: "192.0.2.1").failure()
        #expect(wrongAddress?.message.contains("for other names than '192.0.2.1'") == true)
        let unknown = try Pair(client: client("others.pem"), server: folder.context()).failure()
        #expect(unknown?.message.contains("signed by nobody") == true && unknown?.help?.contains("--cafile") == true)
        let system = try Pair(client: TLSClient(), server: folder.context()).failure()
        #expect(system?.message.contains("signed by nobody") == true)
        try folder.sign(.server, "localhost", days: -1)
        let expired = try Pair(client: client(), server: folder.context("localhost")).failure()
        #expect(expired?.message.contains("has expired") == true)
    }

    @Test("A client shows its certificate where the server asks for one")
    func clientCertificate() throws {
        try folder.sign(.client, "ann")
        let context = try folder.context { settings in
            settings.verify = .required
            settings.clientAuthorities = folder.file("ca.pem")
        }
        let pair = try Pair(client: client(certificate: "ann"), server: context)
        try pair.open()
        #expect(try pair.send([1, 2], from: pair.client, to: pair.server) == [1, 2])
        // The server's judgement comes after the handshake.
        let nobody = try Pair(client: client(), server: context)
        nobody.shakeHands()
        nobody.client.read()
        let error = #expect(throws: ShuntError.self) {
            try nobody.pass(from: nobody.server, to: nobody.client)
            try nobody.client.throwIfErrorCaught()
        }
        #expect(error?.help?.contains("--cert") == true)
    }

    @Test("What does not speak TLS is told so", arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "\u{c}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "220 mail"])
    func plain(answer: String) throws {
        let pair = try Pair(client: client(), server: folder.context())
        try pair.start()
        _ = try? pair.client.writeInbound(ByteBuffer(string: answer))
        #expect(pair.outcome?.message == "what answers there does not speak TLS")
        #expect(!pair.client.isActive)
    }

    @Test("A connection that ends in the handshake, and one that has done it, say so")
    func ends() throws {
        let pair = try Pair(client: client(), server: folder.context())
        try pair.start()
        _ = try? pair.client.close().wait()
        #expect(pair.outcome?.message.contains("before the TLS handshake was done") == true)
        let open = try Pair(client: client(), server: folder.context())
        try open.open()
        _ = try? open.server.close().wait()
        open.client.read()
        try open.pass(from: open.server, to: open.client)
        #expect(!open.client.isActive)
    }

    @Test("Files that cannot be used are told by their names")
    func files() throws {
        try folder.sign(.client, "ann")
        func error(_ authorities: String? = nil, _ certificate: String? = nil, _ key: String? = nil) -> ShuntError? {
            #expect(throws: ShuntError.self) {
                try TLSClient(
                    authorities: authorities.map(folder.file), certificate: certificate.map(folder.file), key: key.map(folder.file))
            }
        }
        #expect(error("none.pem")?.location == folder.file("none.pem"))
        #expect(error("ca.key")?.location == folder.file("ca.key"))
        #expect(error(nil, "ann.pem", "ca.key")?.message.contains("does not fit") == true)
        #expect(throws: Never.self) { try TLSClient(certificate: folder.file("ann.pem")) }
        #expect(error(nil, "ann.pem", "ann.pem")?.location == folder.file("ann.pem"))
        #expect(error(nil, nil, "ann.key")?.code == .tlsInvalid)
    }

    @Test("Damaged records end the connection, and nothing else", arguments: 0..<20 as Range<UInt64>)
    func damaged(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        let pair = try Pair(client: client(), server: folder.context())
        try pair.open()
        try pair.server.writeOutbound(ByteBuffer(bytes: [UInt8](repeating: 7, count: 1000)))
        var wire = try pair.wire(of: pair.server)
        let at = Int.random(in: 0..<wire.count, using: &random)
        wire[at] ^= UInt8.random(in: 1...255, using: &random)
        pair.client.read()
        _ = try? pair.client.writeInbound(ByteBuffer(bytes: wire))
        _ = try? pair.client.close().wait()
        #expect(pair.received(by: pair.client) == [])
    }
}

/// A client and a server, each in a channel without a socket.
private final class Pair {
    let client = EmbeddedChannel()
    let server = EmbeddedChannel()
    /// The wire comes in pieces of so many bytes.
    var cut = Int.max
    /// The handshake's failure.
    private(set) var outcome: ShuntError?
    private(set) var isOpen = false

    init(client tls: TLSClient, server context: TLSContext, host: String = "localhost") throws {
        let opened = client.eventLoop.makePromise(of: Void.self)
        opened.futureResult.assumeIsolated().whenComplete { [unowned self] result in
            switch result {
            case .success: isOpen = true
            case .failure(let error): outcome = error as? ShuntError
            }
        }
        try client.pipeline.syncOperations.addHandler(tls.handler(for: HostPort(host, 8883), protocols: ["mqtt"], opened: opened))
        try server.pipeline.syncOperations.addHandler(TLSServer { (context.makeConnection(), context) }.handler())
    }

    func start() throws {
        let address = try SocketAddress(ipAddress: "127.0.0.1", port: 1)
        try client.connect(to: address).wait()
        try server.connect(to: address).wait()
    }

    func shakeHands() {
        try? start()
        for _ in 0..<10 {
            try? pass(from: client, to: server)
            try? pass(from: server, to: client)
        }
    }

    func open() throws {
        shakeHands()
        try #require(isOpen, "\(String(describing: outcome))")
    }

    func failure() -> ShuntError? {
        shakeHands()
        #expect(!isOpen && !client.isActive)
        return outcome
    }

    func wire(of channel: EmbeddedChannel) throws -> [UInt8] {
        var wire: [UInt8] = []
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { wire += buffer.readableBytesView }
        return wire
    }

    func pass(from one: EmbeddedChannel, to other: EmbeddedChannel) throws {
        var rest = try wire(of: one)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(cut)
            rest = rest.dropFirst(cut)
            try other.writeInbound(ByteBuffer(bytes: piece))
        }
    }

    /// Plain bytes that have come out of the other end.
    func send(_ bytes: [UInt8], from one: EmbeddedChannel, to other: EmbeddedChannel) throws -> [UInt8] {
        try one.writeOutbound(ByteBuffer(bytes: bytes))
        var rest = try wire(of: one)[...]
        var all: [UInt8] = []
        while !rest.isEmpty {
            let piece = rest.prefix(cut)
            rest = rest.dropFirst(cut)
            other.read()
            try other.writeInbound(ByteBuffer(bytes: piece))
            all += received(by: other)
        }
        return all
    }

    func received(by channel: EmbeddedChannel) -> [UInt8] {
        var all: [UInt8] = []
        while let buffer = try? channel.readInbound(as: ByteBuffer.self) { all += buffer.readableBytesView }
        return all
    }
}

/// A folder with an authority, and certificates that it has signed.
private final class Folder {
    private let path: String

    init() throws {
        path = NSTemporaryDirectory() + "shunt-tls-nio-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try put(try CertificateMaker(days: 30).make(.authority, name: "Our-CA"), "ca")
        try put(try CertificateMaker(certificate: file("ca.pem"), key: file("ca.key"), days: 30).make(.server, name: "localhost"), "server")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func put(_ made: CertificateMaker.Made, _ name: String) throws {
        try Data(made.certificate.utf8).write(to: URL(fileURLWithPath: file(name + ".pem")))
        try Data(made.key.utf8).write(to: URL(fileURLWithPath: file(name + ".key")))
    }

    func sign(_ purpose: CertificateMaker.Purpose, _ name: String, days: Int = 30) throws {
        try put(try CertificateMaker(certificate: file("ca.pem"), key: file("ca.key"), days: days).make(purpose, name: name), name)
    }

    func context(_ name: String = "server", _ change: (inout TLSSettings) -> Void = { _ in }) throws -> TLSContext {
        var settings = TLSSettings(name: "l.tls", identities: [.init(certificate: file(name + ".pem"), setting: "l.tls.certificate")])
        change(&settings)
        return try TLSContext(settings, tickets: TicketKeys(), figures: TLSFigures())
    }
}
