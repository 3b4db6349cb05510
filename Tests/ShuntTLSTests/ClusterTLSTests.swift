import COpenSSL
import ShuntCore
import ShuntReactor
import Testing

@testable import ShuntTLS

/// Two transports, with no socket between.
private final class Pair {
    let client: TLSTransport
    let server: TLSTransport
    var clientFailure: TransportFailure?
    var serverFailure: TransportFailure?
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)

    init(_ client: TLSContext, _ server: TLSContext) {
        self.client = TLSTransport(client)
        self.server = TLSTransport(server)
    }

    deinit { space.deallocate() }

    /// Both go on until neither has anything to say.
    func shakeHands() {
        for _ in 0..<10 {
            carry(from: client, to: server, &serverFailure)
            carry(from: server, to: client, &clientFailure)
        }
    }

    private func carry(from sender: TLSTransport, to receiver: TLSTransport, _ failure: inout TransportFailure?) {
        if sender.hasWork, sender.failure == nil { try? sender.work() }
        while let given = try? sender.write(Bytes(start: nil, count: 0), into: space).given, given > 0 {
            let wire = Array(space[..<given])
            guard failure == nil else { continue }
            do throws(TransportFailure) {
                try Self.give(wire, to: receiver)
                if receiver.hasWork { try receiver.work() }
                try Self.give([], to: receiver)
            } catch { failure = error }
        }
    }

    private static func give(_ wire: [UInt8], to receiver: TLSTransport) throws(TransportFailure) {
        var plain = [UInt8](repeating: 0, count: 32 << 10)
        var outcome: Result<Void, TransportFailure> = .success(())
        wire.withUnsafeBytes { bytes in
            plain.withUnsafeMutableBytes { space in
                do throws(TransportFailure) { _ = try receiver.read(bytes, into: space) } catch { outcome = .failure(error) }
            }
        }
        try outcome.get()
    }

    static func isOpen(_ transport: TLSTransport) -> Bool {
        if case .open = transport.phase { true } else { false }
    }
}

@Suite("TLS between the members of a cluster")
struct ClusterTLSTests {
    private let folder: Folder
    private let other: Folder

    init() throws {
        folder = try Folder()
        other = try Folder()
        for one in [folder, other] {
            try one.sign(.member, "m")
            try one.sign(.member, "w")
        }
    }

    private func context(_ role: TLSContext.Role, _ files: Folder, _ name: String, ca: Folder) throws -> TLSContext {
        let settings = TLSSettings(
            name: "cluster.tls",
            identities: [.init(certificate: files.file("\(name).pem"), key: files.file("\(name).key"), setting: "cluster.tls.certificate")],
            clientAuthorities: ca.file("ca.pem"), verify: role == .server ? .optional : .required, authoritiesSetting: "cluster.tls.ca")
        return try TLSContext(settings, role: role, tickets: TicketKeys(), figures: TLSFigures())
    }

    @Test("Members of one authority shake hands, and the server learns who the client is; names do not count")
    func together() throws {
        let pair = Pair(try context(.client, folder, "w", ca: folder), try context(.server, folder, "m", ca: folder))
        #expect(pair.client.hasWork && !pair.server.hasWork, "the client has the first word")
        pair.shakeHands()
        #expect(Pair.isOpen(pair.client) && Pair.isOpen(pair.server))
        #expect(pair.server.clientCertificate?.commonName == "w" && pair.client.clientCertificate == nil)
        #expect(pair.client.failure == nil && pair.server.failure == nil)
    }

    @Test("Whoever has a certificate of another authority, or one for another purpose, is refused, and both ends say why")
    func apart() throws {
        try folder.sign(.client, "ann")
        let rows: [(worker: (Folder, String, ca: Folder), master: (Folder, String, ca: Folder), atWorker: String, atMaster: String)] = [
            (
                (other, "w", folder), (folder, "m", folder), "the server refused: tlsv1 alert unknown ca",
                "the client's certificate is not taken: unable to get local issuer certificate"
            ),
            (
                (folder, "w", folder), (other, "m", folder), "the server's certificate is not taken: unable to get local issuer certificate",
                "the client refused: tlsv1 alert unknown ca"
            ),
            (
                (folder, "w", folder), (folder, "ann", folder), "the server's certificate is not taken: unsuitable certificate purpose",
                "the client refused"
            ),
            (
                (folder, "server-of-none", folder), (folder, "m", folder), "the server refused",
                "the client's certificate is not taken: unsuitable certificate purpose"
            ),
        ]
        try folder.sign(.server, "server-of-none")
        for row in rows {
            let pair = Pair(
                try context(.client, row.worker.0, row.worker.1, ca: row.worker.ca),
                try context(.server, row.master.0, row.master.1, ca: row.master.ca))
            pair.shakeHands()
            #expect(!Pair.isOpen(pair.server), "\(row)")
            #expect(pair.client.failure?.hasPrefix(row.atWorker) == true, "\(String(describing: pair.client.failure))")
            #expect(pair.server.failure?.hasPrefix(row.atMaster) == true, "\(String(describing: pair.server.failure))")
        }
    }

    @Test("Something that speaks no TLS is told as such")
    func plain() throws {
        for (answer, why) in [([0x15, 3, 1, 0, 2, 2, 40], "it speaks no TLS there"), (Array("HTTP/1.1 400 Bad Request\r\n".utf8), "not speak TLS")] {
            let transport = TLSTransport(try context(.client, folder, "w", ca: folder))
            try transport.work()
            #expect(!transport.hasWork)
            let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 64)
            defer { space.deallocate() }
            #expect(try transport.write(Bytes(start: nil, count: 0), into: space).given > 100)
            _ = try answer.withUnsafeBytes { try transport.read($0, into: space) }
            #expect(throws: TransportFailure.self) { try transport.work() }
            #expect(transport.failure?.contains(why) == true, "\(String(describing: transport.failure))")
        }
    }

    @Test("The first byte tells TLS from frames; nothing is taken before the next transport is there")
    func firstByte() throws {
        let tls = try context(.server, folder, "m", ca: folder)
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 8 << 10, alignment: 64)
        defer { space.deallocate() }
        for byte in UInt8.min...UInt8.max {
            let transport = PlainOrTLS { tls }
            #expect(transport.read(Bytes(start: nil, count: 0), into: space) == TransportProgress(taken: 0, given: 0))
            guard case .opening = transport.phase else {
                Issue.record("it is decided without a byte")
                return
            }
            #expect(transport.write(Bytes(start: nil, count: 0), into: space) == TransportProgress(taken: 0, given: 0))
            #expect([byte, 0].withUnsafeBytes { transport.read($0, into: space) } == TransportProgress(taken: 0, given: 0))
            guard case .passed(let next) = transport.phase else {
                Issue.record("it is not decided by a byte")
                return
            }
            #expect(transport.isTLS == (byte == 0x16) && (next is TLSTransport) == (byte == 0x16))
        }
    }

    @Test("Files that change are read again; broken ones change nothing")
    func reload() throws {
        let settings = TLSSettings(
            name: "cluster.tls", identities: [.init(certificate: folder.file("m.pem"), setting: "cluster.tls.certificate")],
            clientAuthorities: folder.file("ca.pem"), verify: .optional, authoritiesSetting: "cluster.tls.ca")
        let tls = try ReloadableTLS(settings, role: .server)
        let first = tls.context
        #expect(try !tls.reload() && tls.context === first)
        try folder.write("broken", "ca.pem")
        #expect { try tls.reload() } throws: { ($0 as? ShuntError)?.location == "cluster.tls.ca" }
        #expect(tls.context === first)
        try folder.put(try CertificateMaker(days: 30).make(.authority, name: "New-CA"), "ca")
        #expect(try tls.reload() && tls.context !== first)
    }
}
