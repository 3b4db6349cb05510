import COpenSSL
import ShuntCore
import Synchronization

/// Why a handshake, or a connection after it, cannot go on.
struct TLSFailure: Equatable {
    var reason: TLSFigures.Reason
    /// For the log.
    var why: String

    init(_ reason: TLSFigures.Reason, _ why: String) {
        self.reason = reason
        self.why = why
    }

    /// By OpenSSL's errors of this thread, and its judgement of the peer's certificate.
    static func ofHandshake(_ connection: OpaquePointer) -> TLSFailure {
        let error = ERR_peek_last_error()
        let reason = ERR_GET_REASON(error)
        let text = reasonText(error)
        let peer = name(ofPeer: connection)
        switch reason {
        case SSL_R_HTTP_REQUEST: return TLSFailure(.notTLS, "\(peer) speaks HTTP, not TLS")
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL, SSL_R_BAD_RECORD_TYPE, SSL_R_HTTPS_PROXY_REQUEST:
            return TLSFailure(.notTLS, "\(peer) does not speak TLS")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE:
            return TLSFailure(.version, "\(peer)'s TLS versions are older than the listener takes (tls.minimum)")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            return TLSFailure(.cipher, "\(peer) offers nothing that the listener takes: \(text)")
        case SSL_R_NO_APPLICATION_PROTOCOL: return TLSFailure(.applicationProtocol, "\(peer) asks for another protocol (ALPN)")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TLSFailure(.noCertificate, "\(peer) has no certificate (tls.verify)")
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            let result = SSL_get_verify_result(connection)
            let why = String(cString: X509_verify_cert_error_string(result))
            return TLSFailure(result == X509_V_ERR_CERT_REVOKED ? .revoked : .certificate, "\(peer)'s certificate is not taken: \(why)")
        case Self.handshakeFailure where SSL_is_server(connection) == 0:
            return TLSFailure(.refusedByPeer, "\(peer) refused: it speaks no TLS there, or takes nothing of what is offered (\(text))")
        // Alerts of the peer (RFC 8446 §6) have numbers from 1000 on.
        case 1000...1255: return TLSFailure(.refusedByPeer, "\(peer) refused: \(text)")
        default: return TLSFailure(.other, "the TLS handshake failed: \(text)")
        }
    }

    /// Its alert, 40 (RFC 8446 §6.2).
    private static let handshakeFailure: Int32 = 1040

    /// The same once the handshake is done at this end. A server of TLS 1.3 that does not take the client's certificate says so then.
    static func ofRecords(_ connection: OpaquePointer) -> TLSFailure {
        let error = ERR_peek_last_error()
        let text = reasonText(error)
        let peer = name(ofPeer: connection)
        guard case 1000...1255 = ERR_GET_REASON(error), SSL_is_server(connection) == 0 else {
            return TLSFailure(.other, "\(peer) broke TLS: \(text)")
        }
        return TLSFailure(.refusedByPeer, "\(peer) refused: \(text)")
    }

    private static func name(ofPeer connection: OpaquePointer) -> String { SSL_is_server(connection) == 1 ? "the client" : "the server" }

    private static func reasonText(_ error: UInt) -> String {
        ERR_reason_error_string(error).map { String(cString: $0) } ?? "it ended without a reason"
    }
}

/// What the handshakes of a listener came to, counted by all its loops.
public final class TLSFigures: Sendable {
    public enum Reason: String, CaseIterable, Sendable {
        case notTLS = "not_tls"
        case version
        case cipher
        case applicationProtocol = "alpn"
        case noCertificate = "no_certificate"
        case certificate
        case revoked
        /// The peer sent an alert, as where a client does not trust the server's certificate.
        case refusedByPeer = "refused_by_client"
        /// The client went away in the middle, or took too long.
        case unfinished
        case other
    }

    private let counts = Mutex<(full: Int, resumed: Int, failed: [Reason: Int])>((0, 0, [:]))

    public init() {}

    func done(isResumed: Bool) { counts.withLock { if isResumed { $0.resumed += 1 } else { $0.full += 1 } } }
    func failed(_ reason: Reason) { counts.withLock { $0.failed[reason, default: 0] += 1 } }

    /// Handshakes that were done with all their parts, and those that resumed an earlier session.
    public var done: (full: Int, resumed: Int) { counts.withLock { ($0.full, $0.resumed) } }
    public func failures(_ reason: Reason) -> Int { counts.withLock { $0.failed[reason] ?? 0 } }
}
