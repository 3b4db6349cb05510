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

    /// By OpenSSL's errors of this thread, and its judgement of the client's certificate.
    static func ofHandshake(_ connection: OpaquePointer) -> TLSFailure {
        let error = ERR_peek_last_error()
        let reason = ERR_GET_REASON(error)
        let text = reasonText(error)
        switch reason {
        case SSL_R_HTTP_REQUEST: return TLSFailure(.notTLS, "the client speaks HTTP, not TLS")
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL, SSL_R_BAD_RECORD_TYPE, SSL_R_HTTPS_PROXY_REQUEST:
            return TLSFailure(.notTLS, "the client does not speak TLS")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_VERSION_TOO_LOW, SSL_R_NO_PROTOCOLS_AVAILABLE:
            return TLSFailure(.version, "the client's TLS versions are older than the listener takes (tls.minimum)")
        case SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_SHARED_GROUPS, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            return TLSFailure(.cipher, "the client offers nothing that the listener takes: \(text)")
        case SSL_R_NO_APPLICATION_PROTOCOL: return TLSFailure(.applicationProtocol, "the client asks for another protocol (ALPN)")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return TLSFailure(.noCertificate, "the client has no certificate (tls.verify)")
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            let result = SSL_get_verify_result(connection)
            let why = String(cString: X509_verify_cert_error_string(result))
            return TLSFailure(result == X509_V_ERR_CERT_REVOKED ? .revoked : .certificate, "the client's certificate is not taken: \(why)")
        // Alerts of the client (RFC 8446 §6) have numbers from 1000 on.
        case 1000...1255: return TLSFailure(.refusedByClient, "the client refused: \(text)")
        default: return TLSFailure(.other, "the TLS handshake failed: \(text)")
        }
    }

    static func ofRecords() -> TLSFailure {
        let error = ERR_peek_last_error()
        return TLSFailure(.other, "the client broke TLS: \(reasonText(error))")
    }

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
        /// The client sent an alert, as where it does not trust the server's certificate.
        case refusedByClient = "refused_by_client"
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
