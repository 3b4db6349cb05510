import COpenSSL
import Glibc
import ShuntCore

// Unsafe: OpenSSL's objects are C structs. Each is freed by the object that has made it.

/// A client of TLS. It takes any certificate: servers that are measured have made their own.
final class TLSSocket: Socket, @unchecked Sendable {
    // `@unchecked Sendable`: one thread at a time uses it.
    private let connection: OpaquePointer
    /// Milliseconds that a read waits.
    private var patience = Int32(Socket.patience) * 1000

    /// Connects and shakes hands.
    /// - Parameter session: to be resumed.
    init(host: String, port: Int, receiveBuffer: Int? = nil, context: TLSClientContext = .shared, session: TLSSession? = nil) throws {
        guard let connection = SSL_new(context.pointer) else { throw ShuntError(.memoryLimit, "no memory for a TLS connection") }
        self.connection = connection
        do {
            try super.init(host: host, port: port, receiveBuffer: receiveBuffer)
        } catch {
            SSL_free(connection)
            throw error
        }
        SSL_set_fd(connection, descriptor)
        if let session { SSL_set_session(connection, session.pointer) }
        guard SSL_connect(connection) == 1 else { throw ShuntError(.tlsHandshake, "the TLS handshake with \(host):\(port) failed") }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    deinit { SSL_free(connection) }

    var isResumed: Bool { SSL_session_reused(connection) == 1 }

    /// What a later connection can resume. A server of TLS 1.3 sends it behind the handshake.
    /// - Returns: nil where the server has sent none.
    func session() -> TLSSession? {
        for _ in 0..<50 {
            if let session = SSL_get1_session(connection) {
                if SSL_SESSION_is_resumable(session) == 1 { return TLSSession(session) }
                SSL_SESSION_free(session)
            }
            wait(POLLIN, milliseconds: 100)
            _ = withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { peek($0) }
        }
        return nil
    }

    /// Tells the server that nothing follows.
    func end() { SSL_shutdown(connection) }

    override func setReadTimeout(seconds: Int) { patience = Int32(seconds) * 1000 }

    override func write(_ bytes: UnsafeRawBufferPointer) throws {
        var offset = 0
        while offset < bytes.count {
            var count = 0
            ERR_clear_error()
            let status = SSL_write_ex(connection, bytes.baseAddress! + offset, bytes.count - offset, &count)
            if status == 1 {
                offset += count
            } else if SSL_get_error(connection, status) == SSL_ERROR_WANT_WRITE {
                wait(POLLOUT, milliseconds: -1)
            } else {
                throw ShuntError(.internalError, "the server closed a connection")
            }
        }
    }

    override func send(_ file: Int32, _ range: Range<Int>) throws {
        try withUnsafeTemporaryAllocation(byteCount: range.count, alignment: 1) { buffer in
            guard pread(file, buffer.baseAddress, range.count, off_t(range.lowerBound)) == range.count else {
                throw ShuntError(.internalError, "messages can't be read from memory")
            }
            try write(UnsafeRawBufferPointer(buffer))
        }
    }

    override func discard(_ count: Int = 1 << 20, wait: Bool = false) -> Int { discardByReading(count, wait: wait) }

    /// Nothing wakes those who wait for what OpenSSL holds already.
    override var holdsUnread: Bool { SSL_pending(connection) > 0 }

    override func read(_ buffer: UnsafeMutableRawBufferPointer, wait: Bool = true) -> Int {
        take(wait: wait) { SSL_read_ex(connection, buffer.baseAddress, buffer.count, &$0) }
    }

    override func peek(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        take(wait: false) { SSL_peek_ex(connection, buffer.baseAddress, buffer.count, &$0) }
    }

    /// - Returns: bytes; 0 at the end, -1 where there is nothing, with errno.
    private func take(wait isWaiting: Bool, _ body: (inout Int) -> Int32) -> Int {
        while true {
            var count = 0
            ERR_clear_error()
            let status = body(&count)
            if status == 1 { return count }
            guard SSL_get_error(connection, status) == SSL_ERROR_WANT_READ else { return 0 }
            guard isWaiting, wait(POLLIN, milliseconds: patience) else {
                errno = EAGAIN
                return -1
            }
        }
    }

    /// - Returns: whether it has come.
    @discardableResult
    private func wait(_ event: Int32, milliseconds: Int32) -> Bool {
        var wanted = pollfd(fd: descriptor, events: Int16(event), revents: 0)
        return poll(&wanted, 1, milliseconds) != 0
    }
}

/// What a TLS connection can be resumed with.
final class TLSSession: @unchecked Sendable {
    // `@unchecked Sendable`: OpenSSL counts its users itself.
    let pointer: OpaquePointer

    init(_ pointer: OpaquePointer) { self.pointer = pointer }

    deinit { SSL_SESSION_free(pointer) }
}

/// The settings of TLS clients.
final class TLSClientContext: @unchecked Sendable {
    // `@unchecked Sendable`: nothing changes it once it is made, and OpenSSL allows connections of many threads.
    let pointer: OpaquePointer

    /// TLS 1.2 or 1.3, as the server likes.
    static let shared = TLSClientContext()

    /// - Parameter version: the only one that is spoken; nil: 1.2 and 1.3.
    init(version: Int32? = nil) {
        guard let pointer = SSL_CTX_new(TLS_client_method()) else { fatalError("no memory for TLS") }
        self.pointer = pointer
        openssl_set_mode(pointer, Int(SSL_MODE_RELEASE_BUFFERS))
        openssl_set_minimum_version(pointer, version ?? TLS1_2_VERSION)
        if let version { SSL_CTX_ctrl(pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(version), nil) }
        // OpenSSL writes without MSG_NOSIGNAL.
        signal(SIGPIPE, SIG_IGN)
    }

    deinit { SSL_CTX_free(pointer) }
}
