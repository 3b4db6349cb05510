import COpenSSL
import ShuntCore

/// What a client's user is told; a server's errors end its connection, and nobody reads them.
extension ShuntError {
    private static let portHelp = "leave TLS away, or give the port of a listener that speaks TLS"

    /// By OpenSSL's errors of this thread, and its judgement of the server's certificate.
    static func ofHandshake(_ connection: OpaquePointer, _ side: TLSHandler.Side) -> ShuntError {
        let error = ERR_peek_last_error()
        switch ERR_GET_REASON(error) {
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_UNKNOWN_PROTOCOL, SSL_R_BAD_RECORD_TYPE, SSL_R_HTTP_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG,
            SSL_R_RECORD_LENGTH_MISMATCH:
            return side.error("what answers there does not speak TLS", help: portHelp)
        case SSL_R_CERTIFICATE_VERIFY_FAILED: return ofCertificate(SSL_get_verify_result(connection), side)
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return side.error("the server speaks no version of TLS that this client does", help: "1.2 and 1.3 are spoken")
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: return ofEnd(side)
        // A worker's plain port answers so; so does a server that has no suite in common.
        case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE: return side.error("the server refused the TLS handshake", help: portHelp)
        default: return ofRecords(side, what: "the TLS handshake failed")
        }
    }

    private static func ofCertificate(_ result: Int, _ side: TLSHandler.Side) -> ShuntError {
        switch Int32(truncatingIfNeeded: result) {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return side.error(
                "the server's certificate is for other names than '\(side.host)'",
                help: "connect by a name that it has, or give the server a certificate that has this one")
        case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, X509_V_ERR_CERT_SIGNATURE_FAILURE:
            return side.error(
                "the server's certificate is signed by nobody that this client trusts",
                help: "give the file with the certificate of its authority (--cafile, or SHUNT_CAFILE)")
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return side.error("the server's certificate has expired", help: "the server needs a new one; is this machine's clock right?")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return side.error("the server's certificate is not valid yet", help: "is this machine's clock right?")
        default:
            return side.error("the server's certificate is not taken: \(String(cString: X509_verify_cert_error_string(result)))")
        }
    }

    /// An alert of the peer (RFC 8446 §6), or records that cannot be read. In TLS 1.3 a server judges a client's certificate when the client
    /// takes the handshake for done.
    static func ofRecords(_ side: TLSHandler.Side, what: String = "the server broke TLS") -> ShuntError {
        let reason = ERR_GET_REASON(ERR_peek_last_error())
        guard (1000...1255).contains(reason) else { return side.error("\(what): \(lastError)") }
        // Alerts of certificates: bad, unsupported, revoked, expired, unknown, of an unknown authority, required.
        let isOfCertificate = [1042, 1043, 1044, 1045, 1046, 1048, 1116].contains(reason)
        return side.error(
            "the server refused: \(lastError)",
            help: isOfCertificate
                ? "give a certificate that the server's authority has signed, and its key (--cert)" : nil)
    }

    static func ofEnd(_ side: TLSHandler.Side) -> ShuntError {
        side.error("the connection was closed before the TLS handshake was done", help: portHelp)
    }
}

extension TLSHandler.Side {
    fileprivate var host: String {
        if case .client(let address) = self { return address.host }
        return ""
    }

    fileprivate func error(_ message: String, help: String? = nil) -> ShuntError {
        guard case .client(let address) = self else { return ShuntError(.tlsHandshake, message) }
        return ShuntError(.tlsHandshake, message, at: address.description, help: help)
    }
}
