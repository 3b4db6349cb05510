import COpenSSL
import Foundation
import ShuntCore
import ShuntReactor
import Testing

@testable import ShuntTLS

/// A folder with an authority, and certificates that it has signed.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "shunt-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try put(try CertificateMaker(days: 30).make(.authority, name: "Our-CA"), "ca")
        try put(try CertificateMaker(certificate: file("ca.pem"), key: file("ca.key"), days: 30).make(.server, name: "localhost"), "server")
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func put(_ made: CertificateMaker.Made, _ name: String) throws {
        try write(made.certificate, name + ".pem")
        try write(made.key, name + ".key")
    }

    func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
        chmod(file(name), 0o600)
    }

    func sign(_ purpose: CertificateMaker.Purpose, _ name: String, days: Int = 30) throws {
        try put(try CertificateMaker(certificate: file("ca.pem"), key: file("ca.key"), days: days).make(purpose, name: name), name)
    }

    func settings(
        _ change: (inout TLSSettings) -> Void = { _ in }
    ) -> TLSSettings {
        var settings = TLSSettings(
            name: "l.tls", identities: [.init(certificate: file("server.pem"), setting: "l.tls.certificate", keySetting: "l.tls.key")])
        change(&settings)
        return settings
    }

    func context(
        tickets: TicketKeys = TicketKeys(), figures: TLSFigures = TLSFigures(), _ change: (inout TLSSettings) -> Void = { _ in }
    ) throws -> TLSContext {
        try TLSContext(settings(change), tickets: tickets, figures: figures)
    }

    /// What is wrong with settings.
    func error(_ change: (inout TLSSettings) -> Void) -> ShuntError? {
        do {
            _ = try context(change)
            return nil
        } catch {
            return error as? ShuntError
        }
    }
}

/// OpenSSL's client, with a transport as its server and no socket between.
final class Peer {
    let connection: OpaquePointer
    let transport: TLSTransport
    private let input = BIO_new(BIO_s_mem())
    private let output = BIO_new(BIO_s_mem())
    /// Plain bytes that came out of the transport.
    var received: [UInt8] = []
    var failure: TransportFailure?
    private let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 64)
    /// What the client sends, in pieces of so many bytes.
    var cut = Int.max

    init(_ context: TLSContext, session: OpaquePointer? = nil, _ prepare: (_ client: OpaquePointer) -> Void = { _ in }) {
        let client = SSL_CTX_new(TLS_client_method())
        prepare(client!)
        connection = SSL_new(client)
        SSL_CTX_free(client)
        if let session { SSL_set_session(connection, session) }
        SSL_set_connect_state(connection)
        SSL_set_bio(connection, input, output)
        transport = TLSTransport(context)
    }

    deinit {
        SSL_free(connection)
        space.deallocate()
    }

    var isOpen: Bool {
        if case .open = transport.phase { return SSL_is_init_finished(connection) == 1 }
        return false
    }

    var isEnded: Bool {
        if case .ended = transport.phase { return true }
        return false
    }

    /// Both go on until neither has anything to say.
    @discardableResult
    func shakeHands() -> Bool {
        for _ in 0..<10 where failure == nil {
            ERR_clear_error()
            _ = SSL_do_handshake(connection)
            exchange()
        }
        return isOpen
    }

    /// Takes what the client has written to the transport, as the loop would, and its answers back.
    func exchange() {
        give(takeWire())
    }

    /// What the client has written.
    func takeWire() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = BIO_read(output, &bytes, Int32(bytes.count))
        return Array(bytes.prefix(Int(max(0, count))))
    }

    func give(_ wire: [UInt8]) {
        var rest = wire[...]
        repeat {
            let piece = Array(rest.prefix(cut))
            rest = rest.dropFirst(cut)
            do throws(TransportFailure) {
                try giveOne(piece)
            } catch {
                failure = error
                // The loop tries this once.
                if let last = try? transport.write(Bytes(start: nil, count: 0), into: space) { forward(last.given) }
                return
            }
        } while !rest.isEmpty
    }

    private func giveOne(_ piece: [UInt8]) throws(TransportFailure) {
        try read(piece)
        while transport.hasWork {
            try transport.work()
            try read([])
        }
        try write([])
    }

    private func read(_ piece: [UInt8]) throws(TransportFailure) {
        var taken = 0
        while true {
            var progress: Result<TransportProgress, TransportFailure>?
            piece.withUnsafeBytes { bytes in
                do throws(TransportFailure) {
                    progress = .success(try transport.read(Bytes(rebasing: bytes[taken...]), into: .init(rebasing: space[..<(8 << 10)])))
                } catch { progress = .failure(error) }
            }
            guard let now = try progress?.get() else { return }
            taken += now.taken
            received += space[..<now.given]
            guard now.given == 0 else { continue }
            #expect(taken == piece.count, "a transport takes all before it gives nothing")
            return
        }
    }

    /// Has the transport send plain bytes to the client.
    func write(_ plain: [UInt8]) throws(TransportFailure) {
        var taken = 0
        while true {
            var progress: Result<TransportProgress, TransportFailure>?
            plain.withUnsafeBytes { bytes in
                do throws(TransportFailure) {
                    progress = .success(try transport.write(Bytes(rebasing: bytes[taken...]), into: .init(rebasing: space[..<(32 << 10)])))
                } catch { progress = .failure(error) }
            }
            guard let now = try progress?.get(), now.taken + now.given > 0 else { return }
            taken += now.taken
            forward(now.given)
        }
    }

    private func forward(_ count: Int) { _ = BIO_write(input, space.baseAddress, Int32(count)) }

    /// The client writes plain bytes.
    func send(_ plain: [UInt8]) {
        for start in stride(from: 0, to: plain.count, by: 16 << 10) {
            let piece = Array(plain[start..<min(plain.count, start + (16 << 10))])
            #expect(SSL_write(connection, piece, Int32(piece.count)) == piece.count)
        }
    }

    /// The plain bytes that the client has got.
    func read() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 << 10)
        ERR_clear_error()
        while case let count = SSL_read(connection, &chunk, Int32(chunk.count)), count > 0 { all += chunk[..<Int(count)] }
        return all
    }

    /// The client's last error: the server's alert.
    var alert: String {
        ERR_clear_error()
        var byte: UInt8 = 0
        _ = SSL_read(connection, &byte, 1)
        return lastError
    }
}
