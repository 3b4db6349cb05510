import COpenSSL
import Glibc
public import NIOCore
public import ShuntCore

// Unsafe: OpenSSL's objects are C structs. The client owns its context, each handler its connection.

/// How clients speak TLS: whose certificates they trust, and which one they show. The files are read once, when it is made.
///
/// `@unchecked Sendable`: OpenSSL's context is only read once it is made, which any thread may do.
public final class TLSClient: @unchecked Sendable, Equatable {
    private let context: OpaquePointer

    /// - Parameters:
    ///   - authorities: a file in PEM with the certificates of the authorities that sign servers' certificates; nil: those that the system trusts.
    ///   - certificate: a file in PEM with the client's own certificate, and those that lead to its root; nil: none.
    ///   - key: the file of its key; nil: beside the certificate's file, as its name with `.key`, or in it.
    /// - Throws: `tls.invalid` where a file cannot be read, or key and certificate do not fit.
    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil) throws(ShuntError) {
        ERR_clear_error()
        guard let context = SSL_CTX_new(TLS_client_method()) else { throw ShuntError(.internalError, "no TLS: \(lastError)") }
        self.context = context
        _ = openssl_set_minimum_version(context, TLS1_2_VERSION)
        _ = openssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nil)
        // A key that wants a passphrase is an error: nobody is asked on the terminal.
        SSL_CTX_set_default_passwd_cb(context) { _, _, _, _ in -1 }
        if let authorities {
            guard SSL_CTX_load_verify_file(context, authorities) == 1 else {
                throw Self.wrong(authorities, "the certificates of authorities, with the lines BEGIN CERTIFICATE and END CERTIFICATE")
            }
        } else {
            SSL_CTX_set_default_verify_paths(context)
        }
        if let certificate { try show(certificate, key: key ?? Self.keyFile(of: certificate)) }
        if certificate == nil, let key {
            throw ShuntError(.tlsInvalid, "a key without its certificate", at: key, help: "give the file of the certificate too")
        }
    }

    deinit { SSL_CTX_free(context) }

    public static func == (one: TLSClient, other: TLSClient) -> Bool { one === other }

    private func show(_ certificate: String, key: String) throws(ShuntError) {
        guard SSL_CTX_use_certificate_chain_file(context, certificate) == 1 else { throw Self.wrong(certificate, "a certificate") }
        guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else {
            if ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH {
                throw ShuntError(
                    .tlsInvalid, "the key does not fit the certificate in \(certificate)", at: key,
                    help: "the certificate must be the file's first, and made for this key")
            }
            throw Self.wrong(key, "a private key without a passphrase, with the line BEGIN PRIVATE KEY")
        }
    }

    private static func keyFile(of certificate: String) -> String {
        guard let dot = certificate.lastIndex(of: "."), !certificate[dot...].contains("/") else { return certificate }
        let beside = certificate[..<dot] + ".key"
        return access(String(beside), F_OK) == 0 ? String(beside) : certificate
    }

    private static func wrong(_ file: String, _ wanted: String) -> ShuntError {
        let why = access(file, R_OK) == 0 ? lastError : String(cString: strerror(errno)).lowercased()
        return ShuntError(.tlsInvalid, "the file cannot be used: \(why)", at: file, help: "a file in PEM: \(wanted)")
    }

    /// A handler that speaks TLS with a server, whose certificate must be for this host.
    /// - Parameters:
    ///   - address: the server's; its host is a name, which the server is told (SNI), or an IP address.
    ///   - protocols: what is offered by ALPN (RFC 7301); empty: nothing.
    ///   - opened: succeeds once the handshake is done, and fails with a `ShuntError`.
    /// - Throws: `tls.invalid` where the host can be in no certificate.
    public func handler(
        for address: HostPort, protocols: [String] = [], opened: EventLoopPromise<Void>? = nil
    ) throws(ShuntError) -> TLSHandler {
        TLSHandler(try connection(to: address, protocols: protocols), .client(address), owner: self, opened: opened)
    }

    /// A connection of OpenSSL's (`SSL`) to a server whose certificate must be for this host, for a caller that moves its bytes and frees it. It
    /// must end before this does.
    /// - Parameter protocols: what is offered by ALPN (RFC 7301); empty: nothing.
    /// - Throws: `tls.invalid` where the host can be in no certificate.
    public func connection(to address: HostPort, protocols: [String] = []) throws(ShuntError) -> OpaquePointer {
        ERR_clear_error()
        guard let connection = SSL_new(context) else { throw ShuntError(.memoryLimit, "no memory for a TLS connection: \(lastError)") }
        SSL_set_connect_state(connection)
        let isAddress = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), address.host) == 1
        if !isAddress {
            SSL_set_hostflags(connection, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
            guard SSL_set1_host(connection, address.host) == 1, openssl_set_name(connection, address.host) == 1 else {
                SSL_free(connection)
                throw ShuntError(.tlsInvalid, "no certificate can be for the host '\(address.host)'", at: address.description)
            }
        }
        let offer = protocols.flatMap { [UInt8($0.utf8.count)] + $0.utf8 }
        if !offer.isEmpty { SSL_set_alpn_protos(connection, offer, UInt32(offer.count)) }
        return connection
    }

    /// Why the handshake of such a connection has failed, by OpenSSL's errors of the calling thread.
    public static func failure(of connection: OpaquePointer, to address: HostPort) -> ShuntError { .ofHandshake(connection, .client(address)) }
}

/// How a server speaks TLS.
public struct TLSServer: Sendable {
    /// A connection of OpenSSL's (`SSL`), and what must live as long as it does.
    public typealias Connection = (ssl: OpaquePointer?, owner: any AnyObject & Sendable)

    private let make: @Sendable () -> Connection

    /// - Parameter make: makes a connection, which its handler frees; nil where memory is short.
    public init(_ make: @escaping @Sendable () -> Connection) { self.make = make }

    /// A handler for a connection that was accepted.
    /// - Throws: `limit.memory`.
    public func handler() throws(ShuntError) -> TLSHandler {
        let (ssl, owner) = make()
        guard let ssl else { throw ShuntError(.memoryLimit, "no memory for a TLS connection: \(lastError)") }
        SSL_set_accept_state(ssl)
        return TLSHandler(ssl, .server, owner: owner, opened: nil)
    }
}

/// OpenSSL's last error of this thread, as a text.
var lastError: String {
    let error = ERR_peek_last_error()
    // Where a system call failed, its number is all there is (ERR_SYSTEM_FLAG).
    if error & 0x8000_0000 != 0 { return String(cString: strerror(Int32(error & 0x7FFF_FFFF))).lowercased() }
    return ERR_reason_error_string(error).map { String(cString: $0) } ?? "for no reason that OpenSSL names"
}
