import COpenSSL
import ShuntCore
import ShuntReactor

// Unsafe: OpenSSL's objects are C structs. The transport owns its own, and frees it when it ends.

/// TLS between a socket and its frames, the server's side or the client's, as the context says (RFC 8446, RFC 5246).
///
/// The handshake is computed in `work`, when the loop has its turn for it: until then it costs what the client has sent. An open connection
/// has buffers only while a record of it is incomplete.
public final class TLSTransport: Transport {
    public private(set) var phase = TransportPhase.opening("the TLS handshake")
    public private(set) var clientCertificate: ClientCertificate?
    /// The protocol that was agreed upon by ALPN (RFC 7301), for what stands behind this one; nil where the client named none.
    public private(set) var applicationProtocol: String?

    private let context: TLSContext
    private let wire = TLSWire()
    /// OpenSSL's connection, from the first bytes of the client on.
    private var connection: OpaquePointer?
    /// What the client has sent that OpenSSL was not given, while the handshake goes on.
    private var unread: [UInt8] = []
    /// Why it could not go on, in a sentence.
    public private(set) var failure: String?
    private var isFailed: Bool { failure != nil }

    public init(_ context: TLSContext) { self.context = context }

    deinit {
        guard let connection else { return }
        if case .opening = phase, !isFailed { context.figures.failed(.unfinished) }
        SSL_free(connection)
    }

    public var openingSeconds: Int? { Self.handshakeSeconds }
    private static let handshakeSeconds = 10

    // MARK: The handshake

    public var hasWork: Bool {
        guard case .opening = phase else { return false }
        // A client has the first word.
        return !unread.isEmpty || connection == nil && context.role == .client
    }

    public func work() throws(TransportFailure) {
        guard hasWork else { return }
        let connection = try begun()
        let sent = unread
        unread = []
        let status = sent.withUnsafeBytes { bytes in
            wire.with(bytes) {
                ERR_clear_error()
                let status = SSL_do_handshake(connection)
                // The first frames may have come with the client's last word.
                unread += bytes[wire.taken...]
                return status
            }
        }
        if status == 1 { return try open(connection) }
        guard SSL_get_error(connection, status) == SSL_ERROR_WANT_READ else { throw fail(.ofHandshake(connection)) }
    }

    private func begun() throws(TransportFailure) -> OpaquePointer {
        if let connection { return connection }
        guard let connection = context.makeConnection() else { throw TransportFailure("no memory for a TLS connection (limit.memory)") }
        guard let bio = wire.makeBIO() else {
            SSL_free(connection)
            throw TransportFailure("no memory for a TLS connection (limit.memory)")
        }
        // One reference for both directions.
        SSL_set_bio(connection, bio, bio)
        if context.role == .server { SSL_set_accept_state(connection) } else { SSL_set_connect_state(connection) }
        self.connection = connection
        return connection
    }

    private func open(_ connection: OpaquePointer) throws(TransportFailure) {
        let isResumed = SSL_session_reused(connection) == 1
        if context.role == .server, let certificate = SSL_get0_peer_certificate(connection), context.settings.verify != .none {
            // A session that is resumed was verified when it began.
            if isResumed, X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0 {
                throw fail(TLSFailure(.certificate, "the client's certificate has expired"))
            }
            clientCertificate = ClientCertificate(certificate)
        }
        applicationProtocol = TLSContext.applicationProtocol(of: connection)
        context.figures.done(isResumed: isResumed)
        phase = .open
    }

    private func fail(_ failure: TLSFailure) -> TransportFailure {
        self.failure = failure.why
        if case .opening = phase { context.figures.failed(failure.reason) }
        return TransportFailure("\(failure.why) (\(ErrorCode.tlsHandshake.rawValue))")
    }

    // MARK: Records

    public func read(_ bytes: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        guard let connection, case .open = phase else {
            // Nothing counts behind the peer's end; before the opening it waits for `work`.
            if case .opening = phase { unread += bytes }
            return TransportProgress(taken: bytes.count, given: 0)
        }
        guard !unread.isEmpty else { return try decrypt(bytes, connection, into: space) }
        let first = unread
        var outcome: Result<TransportProgress, TransportFailure>?
        first.withUnsafeBytes { first in
            do throws(TransportFailure) { outcome = .success(try decrypt(first, connection, into: space)) } catch { outcome = .failure(error) }
        }
        guard let progress = try outcome?.get() else { return TransportProgress(taken: 0, given: 0) }
        unread.removeFirst(progress.taken)
        if unread.isEmpty { unread = [] }
        // They are followed by others.
        guard progress.given == 0, !bytes.isEmpty else { return TransportProgress(taken: 0, given: progress.given) }
        return try decrypt(bytes, connection, into: space)
    }

    private func decrypt(
        _ bytes: Bytes, _ connection: OpaquePointer, into space: UnsafeMutableRawBufferPointer
    ) throws(TransportFailure) -> TransportProgress {
        guard let start = space.baseAddress else { return TransportProgress(taken: 0, given: 0) }
        var given = 0
        let status: Int32 = wire.with(bytes) {
            ERR_clear_error()
            while given < space.count {
                var count = 0
                let status = SSL_read_ex(connection, start + given, space.count - given, &count)
                guard status == 1 else { return SSL_get_error(connection, status) }
                given += count
            }
            return SSL_ERROR_NONE
        }
        switch status {
        case SSL_ERROR_NONE, SSL_ERROR_WANT_READ: return TransportProgress(taken: wire.taken, given: given)
        case SSL_ERROR_ZERO_RETURN:
            phase = .ended
            return TransportProgress(taken: bytes.count, given: given)
        default: throw fail(.ofRecords(connection))
        }
    }

    public func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        guard let connection, wire.hasWaiting || !plain.isEmpty else { return TransportProgress(taken: 0, given: 0) }
        var taken = 0
        var isBroken = false
        wire.with(Bytes(start: nil, count: 0), space) {
            guard isOpen, !isFailed else { return }
            ERR_clear_error()
            while taken < plain.count, !wire.hasWaiting, wire.room >= Self.recordSize + Self.recordOverhead {
                var count = 0
                let size = min(plain.count - taken, Self.recordSize)
                guard SSL_write_ex(connection, plain.baseAddress.unsafelyUnwrapped + taken, size, &count) == 1 else {
                    isBroken = true
                    return
                }
                taken += count
            }
        }
        if isBroken { throw fail(.ofRecords(connection)) }
        return TransportProgress(taken: taken, given: wire.given)
    }

    /// A peer that has said its end may still read.
    private var isOpen: Bool {
        switch phase {
        case .open, .ended: true
        case .opening, .passed: false
        }
    }

    /// The most plain bytes of a record, and what it adds to them at most (RFC 8446 §5.2).
    private static let recordSize = 16 << 10
    private static let recordOverhead = 512

    /// Says `close_notify` (RFC 8446 §6.1).
    public func finish() {
        guard let connection, isOpen, !isFailed else { return }
        ERR_clear_error()
        _ = wire.with { SSL_shutdown(connection) }
    }
}
