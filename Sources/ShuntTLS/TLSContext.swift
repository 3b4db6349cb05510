import COpenSSL
import ShuntCore

// Unsafe: OpenSSL's objects are C structs. The context owns its own until it ends; its connections hold it.

/// What the connections of a listener share: certificates and keys, and how these are spoken for. Made once of the files, and never changed:
/// files that have changed make another.
///
/// `@unchecked Sendable`: OpenSSL's contexts are only read once they are made, which any thread may do.
public final class TLSContext: @unchecked Sendable {
    /// Which end of its connections this is.
    public enum Role: Sendable {
        case server
        /// Shows its certificate to servers that ask for one, and takes servers alone that the authorities vouch for, whatever their names.
        case client
    }

    public let settings: TLSSettings
    public let role: Role
    public let figures: TLSFigures
    /// What an operator should know of the files: a certificate that has expired.
    public let warnings: [ShuntError]
    /// Certificates and revocation lists by their files, and the time when each expires in seconds since 1970.
    public let expiries: [(file: String, at: Double)]
    private let tickets: TicketKeys
    private let identities: [Identity]
    private let revocations: RevocationLists?
    /// Tells the content of all files.
    private let digest: [UInt8]

    private struct Identity {
        let certificate: Owned
        let context: Owned
    }

    /// Reads the files.
    /// - Parameters:
    ///   - role: a client verifies servers, so its settings name authorities.
    ///   - tickets: kept over reloads.
    ///   - figures: kept over reloads.
    /// - Throws: `tls.invalid`, with the setting as the place.
    public init(_ settings: TLSSettings, role: Role = .server, tickets: TicketKeys, figures: TLSFigures) throws(ShuntError) {
        let files = try TLSFiles(settings)
        self.settings = settings
        self.role = role
        self.tickets = tickets
        self.figures = figures
        warnings = files.warnings
        expiries =
            files.identities.map { ($0.file, CertificateDetails.seconds(X509_get0_notAfter($0.chain[0].pointer))) }
            + [files.revocationsExpiry].compactMap { $0 }
        revocations = files.revocations
        digest = files.digest
        var identities: [Identity] = []
        for identity in files.identities {
            identities.append(Identity(certificate: identity.chain[0], context: try Self.make(settings, role, identity, files)))
        }
        self.identities = identities
        guard role == .server else { return }
        let me = Unmanaged.passUnretained(self).toOpaque()
        for identity in identities { answer(identity.context.pointer, me) }
    }

    /// Whether the files say the same as those of the other.
    public func isSame(as other: TLSContext) -> Bool { settings == other.settings && digest == other.digest }

    /// Whether a list revokes the certificate, which was verified against these authorities or earlier ones.
    public func revokes(_ certificate: ClientCertificate) -> Bool { revocations?.have(certificate) ?? false }

    /// An `SSL` of OpenSSL's, which the caller frees before this ends; nil where memory is short.
    public func makeConnection() -> OpaquePointer? { SSL_new(identities[0].context.pointer) }

    // MARK: OpenSSL's context

    /// Suites of TLS 1.2 with forward secrecy and authenticated encryption; 1.3 has no others.
    private static let suites = [
        "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305",
    ].joined(separator: ":")
    private static let groups = "X25519:P-256:P-384"
    /// Bytes of the certificates that a client may send.
    private static let clientCertificates = 64 << 10

    private static func make(_ settings: TLSSettings, _ role: Role, _ identity: TLSFiles.Identity, _ files: TLSFiles) throws(ShuntError) -> Owned {
        ERR_clear_error()
        guard let context = SSL_CTX_new(role == .server ? TLS_server_method() : TLS_client_method()) else {
            throw ShuntError(.internalError, "no TLS: \(lastError)")
        }
        let owned = Owned(context) { SSL_CTX_free($0) }
        openssl_set_server_options(context)
        // An idle connection keeps no buffers; a write goes on from wherever the out-buffer has moved to.
        _ = openssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        SSL_CTX_set_security_level(context, 2)
        openssl_set_minimum_version(context, settings.minimum == .tls13 ? TLS1_3_VERSION : TLS1_2_VERSION)
        openssl_set_maximum_certificates(context, clientCertificates)
        guard SSL_CTX_set_cipher_list(context, suites) == 1, openssl_set_groups(context, groups) == 1 else {
            throw ShuntError(.internalError, "OpenSSL lacks what TLS needs: \(lastError)")
        }
        try identity.use(in: context)
        // Sessions are kept by clients, as tickets.
        openssl_set_session_cache(context, Int(SSL_SESS_CACHE_OFF))
        SSL_CTX_set_timeout(context, TicketKeys.ticketLife)
        SSL_CTX_set_num_tickets(context, 1)
        // One that began under other authorities or lists is not resumed.
        guard SSL_CTX_set_session_id_context(context, files.sessionContext, UInt32(files.sessionContext.count)) == 1 else {
            throw ShuntError(.internalError, "no TLS: \(lastError)")
        }
        try files.verify(in: context, settings)
        return owned
    }

    /// Sets what OpenSSL asks during a handshake.
    private func answer(_ context: OpaquePointer, _ me: UnsafeMutableRawPointer) {
        SSL_CTX_set_ex_data(context, Self.dataIndex, me)
        SSL_CTX_set_tlsext_ticket_key_evp_cb(context) { connection, name, vector, cipher, mac, isNew in
            guard let context = TLSContext.of(connection), let name, let vector else { return -1 }
            return context.tickets.prepare(name, vector, cipher, mac, isNew: isNew == 1)
        }
        if identities.count > 1 {
            openssl_set_name_callback(
                context, { connection, _, _ in TLSContext.of(connection)?.choose(for: connection) ?? SSL_TLSEXT_ERR_NOACK }, nil)
        }
        guard !settings.applicationProtocols.isEmpty else { return }
        SSL_CTX_set_alpn_select_cb(
            context,
            { connection, chosen, length, offered, count, _ in
                guard let context = TLSContext.of(connection), let chosen, let length else { return SSL_TLSEXT_ERR_ALERT_FATAL }
                guard let (start, size) = context.protocolAmong(UnsafeBufferPointer(start: offered, count: Int(count))) else {
                    return SSL_TLSEXT_ERR_ALERT_FATAL
                }
                (chosen.pointee, length.pointee) = (start, size)
                return SSL_TLSEXT_ERR_OK
            }, nil)
    }

    private static let dataIndex = openssl_ctx_data_index()

    private static func of(_ connection: OpaquePointer?) -> TLSContext? {
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(connection), dataIndex).map { Unmanaged<TLSContext>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Takes the first certificate that has the name that the client asks for (RFC 6066 §3).
    private func choose(for connection: OpaquePointer?) -> Int32 {
        guard let name = SSL_get_servername(connection, TLSEXT_NAMETYPE_host_name) else { return SSL_TLSEXT_ERR_NOACK }
        let fitting = identities.first { X509_check_host($0.certificate.pointer, name, 0, 0, nil) == 1 }
        guard let fitting else { return SSL_TLSEXT_ERR_NOACK }
        SSL_set_SSL_CTX(connection, fitting.context.pointer)
        return SSL_TLSEXT_ERR_OK
    }

    /// The first of the listener's protocols that the client offers, each with its length before it (RFC 7301 §3.1), where it stands in the offer.
    private func protocolAmong(_ offered: UnsafeBufferPointer<UInt8>) -> (UnsafePointer<UInt8>, UInt8)? {
        for ours in settings.applicationProtocols {
            var index = 0
            while index < offered.count {
                let length = Int(offered[index])
                guard index + 1 + length <= offered.count else { break }
                if offered[index + 1..<index + 1 + length].elementsEqual(ours.utf8), let start = offered.baseAddress {
                    return (start + index + 1, UInt8(length))
                }
                index += 1 + length
            }
        }
        return nil
    }

    static func applicationProtocol(of connection: OpaquePointer) -> String? {
        var start: UnsafePointer<UInt8>?
        var count: UInt32 = 0
        SSL_get0_alpn_selected(connection, &start, &count)
        return count == 0 ? nil : String(decoding: UnsafeBufferPointer(start: start, count: Int(count)), as: UTF8.self)
    }
}
