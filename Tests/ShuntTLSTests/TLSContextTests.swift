import COpenSSL
import Foundation
import ShuntCore
import Testing

@testable import ShuntTLS

@Suite("What TLS is made of")
struct TLSContextTests {
    private let folder: Folder

    init() throws { folder = try Folder() }

    private func using(_ name: String) -> (OpaquePointer) -> Void {
        let folder = self.folder
        return { client in
            #expect(SSL_CTX_use_certificate_chain_file(client, folder.file(name + ".pem")) == 1)
            #expect(SSL_CTX_use_PrivateKey_file(client, folder.file(name + ".key"), SSL_FILETYPE_PEM) == 1)
        }
    }

    private func requiring(_ settings: inout TLSSettings) {
        settings.clientAuthorities = folder.file("ca.pem")
        settings.verify = .required
    }

    // MARK: Files

    @Test("Wrong files are told with their names and the setting")
    func errors() throws {
        func server(_ certificate: String, _ key: String = "") -> (inout TLSSettings) -> Void {
            { [folder] in
                $0.identities[0].certificate = folder.file(certificate)
                $0.identities[0].key = key.isEmpty ? "" : folder.file(key)
            }
        }
        #expect(folder.error(server("none.pem"))?.message == "there is no file \(folder.file("none.pem"))")
        #expect(folder.error(server("none.pem"))?.location == "l.tls.certificate")
        #expect(folder.error(server("server.pem", "none.key"))?.location == "l.tls.key")
        let wrongKey = folder.error(server("server.pem", "ca.key"))
        #expect(wrongKey?.message.contains("does not fit the certificate in \(folder.file("server.pem"))") ?? false)
        #expect(wrongKey?.location == "l.tls.key")
        #expect(folder.error(server("server.key"))?.message.contains("has a private key and no certificate") ?? false)
        #expect(folder.error(server("server.pem", "ca.pem"))?.message.contains("has no private key") ?? false)

        let text = try String(contentsOfFile: folder.file("server.pem"), encoding: .utf8)
        try folder.write(text, "alone.pem")
        #expect(folder.error(server("alone.pem"))?.message.contains("there is no file \(folder.file("alone.key"))") ?? false)
        try folder.write(text.replacing("MII", with: "MIJ"), "damaged.pem")
        #expect(folder.error(server("damaged.pem", "server.key"))?.message.contains("damaged") ?? false)
        try folder.write("-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "secret.key")
        #expect(folder.error(server("server.pem", "secret.key"))?.message.contains("passphrase") ?? false)
        #expect(folder.error { $0.verify = .required }?.location == "l.tls.verify")
    }

    @Test("A key may be in its certificate's file")
    func combined() throws {
        let both = try ["server.pem", "server.key"].map { try String(contentsOfFile: folder.file($0), encoding: .utf8) }
        try folder.write(both.joined(), "both.pem")
        let context = try folder.context { $0.identities[0].certificate = folder.file("both.pem") }
        #expect(Peer(context).shakeHands())
    }

    @Test("A key that all may read is a warning")
    func sharedKey() throws {
        for (mode, isShared) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            chmod(folder.file("server.key"), mode_t(mode))
            let warnings = try folder.context().warnings.map(\.message)
            #expect(warnings.contains { $0.contains("server.key has a private key, and every user") } == isShared, "\(warnings)")
        }
    }

    @Test("An expired certificate is a warning")
    func expired() throws {
        try folder.put(try CertificateMaker(days: -1).make(.server, name: "old"), "old")
        let context = try folder.context { $0.identities[0].certificate = folder.file("old.pem") }
        #expect(context.warnings.count == 1 && context.warnings[0].message.contains("has expired: CN=old"))
        let now = Date().timeIntervalSince1970
        #expect(context.expiries.count == 1 && abs(context.expiries[0].at - (now - 86_400)) < 60)
        #expect(try folder.context().warnings.isEmpty)
    }

    @Test("Files that say the same are the same")
    func same() throws {
        let first = try folder.context()
        #expect(first.isSame(as: try folder.context()))
        try folder.sign(.server, "localhost")
        let other = try folder.context { $0.identities[0].certificate = folder.file("localhost.pem") }
        #expect(!first.isSame(as: other))
    }

    // MARK: Names

    @Test("A client gets the certificate of the name that it asks for, or the first", arguments: ["localhost", "b.test", "unknown.test", ""])
    func names(askedFor name: String) throws {
        try folder.sign(.server, "b.test")
        let context = try folder.context { $0.identities.append(.init(certificate: folder.file("b.test.pem"), setting: "l.tls.certificates")) }
        let peer = Peer(context)
        if !name.isEmpty { _ = openssl_set_name(peer.connection, name) }
        #expect(peer.shakeHands())
        let got = CertificateDetails.commonName(of: SSL_get0_peer_certificate(peer.connection)!)
        #expect(got == (name == "b.test" ? "b.test" : "localhost"))
    }

    // MARK: Clients' certificates

    @Test("A client's certificate is verified, and told")
    func clients() throws {
        try folder.sign(.client, "ann")
        let context = try folder.context(requiring)
        let peer = Peer(context, using("ann"))
        #expect(peer.shakeHands())
        let certificate = try #require(peer.transport.clientCertificate)
        #expect(certificate.commonName == "ann" && certificate.issuer == "CN=Our-CA")
        #expect(certificate.uid(from: .commonName) == "ann" && certificate.uid(from: .alternativeName) == nil)
        #expect(certificate.fingerprint.count == 64 && certificate.serial.count == 32)
    }

    @Test("Clients without a certificate, and with one of another authority or purpose, are refused")
    func refused() throws {
        let context = try folder.context(requiring)
        #expect(!Peer(context).shakeHands())
        #expect(context.figures.failures(.noCertificate) == 1)
        try folder.put(try CertificateMaker(days: 30).make(.client, name: "eve"), "eve")
        let eve = Peer(context, using("eve"))
        #expect(!eve.shakeHands() && eve.transport.clientCertificate == nil)
        // A server's certificate is none of a client.
        #expect(!Peer(context, using("server")).shakeHands())
        try folder.sign(.client, "late", days: -1)
        #expect(!Peer(context, using("late")).shakeHands())
        #expect(context.figures.failures(.certificate) == 3)
    }

    @Test("verify: optional takes clients without a certificate, and none with a wrong one")
    func optional() throws {
        let context = try folder.context {
            requiring(&$0)
            $0.verify = .optional
        }
        let none = Peer(context)
        #expect(none.shakeHands() && none.transport.clientCertificate == nil)
        try folder.put(try CertificateMaker(days: 30).make(.client, name: "eve"), "eve")
        #expect(!Peer(context, using("eve")).shakeHands())
    }

    @Test("The names of a certificate are read, and a list is asked by issuer and serial number")
    func names() throws {
        let maker = try CertificateMaker(certificate: folder.file("ca.pem"), key: folder.file("ca.key"), days: 1)
        try folder.put(try maker.make(.server, name: "a.test", alternatives: ["b.test", "127.0.0.1"]), "a")
        let chain = try PEMFile(folder.file("a.pem"), setting: "a").certificates()
        let certificate = withExtendedLifetime(chain) { ClientCertificate(chain[0].pointer) }
        #expect(certificate.dnsNames == ["a.test", "b.test"] && certificate.emails.isEmpty && certificate.uris.isEmpty)
        #expect(certificate.uid(from: .alternativeName) == "a.test")
        #expect(try folder.context().revokes(certificate) == false)
    }

    // MARK: Resumption

    /// The session of a client that has been connected.
    private func session(_ context: TLSContext, _ prepare: @escaping (OpaquePointer) -> Void = { _ in }) throws -> OpaquePointer {
        let peer = Peer(context, prepare)
        #expect(peer.shakeHands())
        try peer.write([1])
        #expect(peer.read() == [1])
        // OpenSSL resumes no session whose connection broke off.
        SSL_set_shutdown(peer.connection, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
        return SSL_get1_session(peer.connection)
    }

    private func resumes(_ context: TLSContext, _ session: OpaquePointer, _ prepare: @escaping (OpaquePointer) -> Void = { _ in }) -> Bool {
        let peer = Peer(context, session: session, prepare)
        #expect(peer.shakeHands())
        return SSL_session_reused(peer.connection) == 1
    }

    @Test("A session is resumed by its ticket, also after a reload, and counted")
    func resumption() throws {
        let (tickets, figures) = (TicketKeys(), TLSFigures())
        let kept = try session(try folder.context(tickets: tickets, figures: figures))
        defer { SSL_SESSION_free(kept) }
        #expect(resumes(try folder.context(tickets: tickets, figures: figures), kept))
        #expect(figures.done == (1, 1))
        #expect(!resumes(try folder.context(figures: figures), kept))
    }

    @Test("The keys of tickets rotate: an old one opens tickets for a while, and then no more")
    func rotation() throws {
        let clock = Clock()
        let tickets = TicketKeys { clock.now }
        let context = try folder.context(tickets: tickets)
        let kept = try session(context)
        defer { SSL_SESSION_free(kept) }
        clock.now += TicketKeys.rotation + 1
        #expect(resumes(context, kept))
        clock.now += TicketKeys.rotation + TicketKeys.ticketLife
        #expect(!resumes(context, kept))
    }

    private final class Clock: @unchecked Sendable { var now = 1000 }

    @Test("A resumed session has its client's certificate; not where the authorities have changed since")
    func resumedClients() throws {
        try folder.sign(.client, "ann")
        let tickets = TicketKeys()
        let kept = try session(try folder.context(tickets: tickets, requiring), using("ann"))
        defer { SSL_SESSION_free(kept) }
        let peer = Peer(try folder.context(tickets: tickets, requiring), session: kept, using("ann"))
        #expect(peer.shakeHands() && SSL_session_reused(peer.connection) == 1)
        #expect(peer.transport.clientCertificate?.commonName == "ann")
        // The same authority and one more.
        try folder.put(try CertificateMaker(days: 30).make(.authority, name: "Other-CA"), "other")
        let both = try ["ca.pem", "other.pem"].map { try String(contentsOfFile: folder.file($0), encoding: .utf8) }.joined()
        try folder.write(both, "both.pem")
        let changed = try folder.context(tickets: tickets) {
            requiring(&$0)
            $0.clientAuthorities = folder.file("both.pem")
        }
        #expect(!resumes(changed, kept, using("ann")))
    }
}
