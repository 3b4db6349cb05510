import COpenSSL
import Glibc
public import ShuntCore

// Unsafe: OpenSSL's connections are C structs; a `LoadClient` owns its own, and frees it when it closes.

/// How the connections of a load speak TLS.
public struct LoadTLS: Sendable {
    /// Makes a connection of OpenSSL's (`SSL`) that knows its server's name, and whom to trust. The caller frees it.
    let connection: @Sendable () throws(ShuntError) -> OpaquePointer
    /// Why its handshake has failed, by OpenSSL's errors of the calling thread.
    let failure: @Sendable (OpaquePointer) -> ShuntError

    public init(
        connection: @escaping @Sendable () throws(ShuntError) -> OpaquePointer, failure: @escaping @Sendable (OpaquePointer) -> ShuntError
    ) {
        (self.connection, self.failure) = (connection, failure)
    }

    /// A connection over a socket.
    func connection(over descriptor: Int32) throws(ShuntError) -> OpaquePointer {
        let connection = try connection()
        SSL_set_connect_state(connection)
        // What was not written at once is written again from another place.
        _ = openssl_set_connection_mode(connection, Int(SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER))
        guard SSL_set_fd(connection, descriptor) == 1 else {
            SSL_free(connection)
            throw ShuntError(.memoryLimit, "no memory for a TLS connection")
        }
        return connection
    }

    enum Handshake {
        case done
        case wantsRead
        case wantsWrite
        case failed
    }

    /// Goes on with a handshake.
    static func shakeHands(_ connection: OpaquePointer) -> Handshake {
        ERR_clear_error()
        let status = SSL_do_handshake(connection)
        if status == 1 { return .done }
        switch SSL_get_error(connection, status) {
        case SSL_ERROR_WANT_READ: return .wantsRead
        case SSL_ERROR_WANT_WRITE: return .wantsWrite
        default: return .failed
        }
    }
}

/// A socket that does not block, in plain bytes or with TLS: reads and writes as `recv` and `send` do.
struct SecureSocket {
    let descriptor: Int32
    /// nil for plain bytes.
    let tls: OpaquePointer?

    func receive(_ space: UnsafeMutableRawPointer, _ count: Int) -> Int {
        guard let tls else { return recv(descriptor, space, count, Int32(MSG_DONTWAIT)) }
        ERR_clear_error()
        return outcome(SSL_read(tls, space, Int32(clamping: count)), tls)
    }

    func send(_ bytes: UnsafeRawPointer, _ count: Int) -> Int {
        guard let tls else { return Glibc.send(descriptor, bytes, count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)) }
        ERR_clear_error()
        return outcome(SSL_write(tls, bytes, Int32(clamping: count)), tls)
    }

    /// Whether there are bytes that the socket does not tell of any more.
    var hasMore: Bool { tls.map { SSL_pending($0) > 0 } ?? false }

    private func outcome(_ result: Int32, _ tls: OpaquePointer) -> Int {
        if result > 0 { return Int(result) }
        switch SSL_get_error(tls, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: errno = EAGAIN
        case SSL_ERROR_ZERO_RETURN: return 0
        // OpenSSL has the end of the connection without the peer's word for an error of TLS.
        case SSL_ERROR_SSL where ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING: return 0
        case SSL_ERROR_SYSCALL where errno != 0: break
        default: errno = EPROTO
        }
        return -1
    }
}
