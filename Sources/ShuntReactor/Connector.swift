import CUV
import Glibc
import ShuntCore

// Unsafe: libuv's handles are C structs. The `data` of each is an uncounted reference to its owner, which lives until the handle is closed.

/// One attempt to connect: look up, connect, done. Lives until it has told its result.
private final class Attempt {
    let role: Connection.Role
    let address: HostPort
    unowned let loop: EventLoop
    var descriptor: Int32 = -1
    let lookUp: UnsafeMutablePointer<uv_getaddrinfo_t>
    let poll: UnsafeMutablePointer<uv_poll_t>
    let timer: UnsafeMutablePointer<uv_timer_t>
    /// libuv's requests and handles that still point here.
    private var uses = 1
    private var isPolling = false
    private var isDone = false

    init(_ address: HostPort, role: Connection.Role, loop: EventLoop) {
        self.address = address
        self.role = role
        self.loop = loop
        lookUp = .allocate(capacity: 1)
        poll = .allocate(capacity: 1)
        timer = .allocate(capacity: 1)
    }

    deinit {
        lookUp.deallocate()
        poll.deallocate()
        timer.deallocate()
    }

    static func of(_ data: UnsafeMutableRawPointer?) -> Attempt {
        Unmanaged<Attempt>.fromOpaque(data.unsafelyUnwrapped).takeUnretainedValue()
    }

    /// Three seconds in all, as message-channel's clients have.
    func start() {
        let me = Unmanaged.passRetained(self).toOpaque()
        uv_timer_init(loop.uv, timer)
        timer.pointee.data = me
        uv_timer_start(timer, { Attempt.of($0!.pointee.data).fail("no answer within 3 s") }, 3000, 0)
        lookUp.pointee.data = me
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_NUMERICSERV
        uses += 1
        let status = uv_getaddrinfo(
            loop.uv, lookUp,
            { request, status, found in
                let attempt = Attempt.of(request.unsafelyUnwrapped.pointee.data)
                attempt.lookedUp(status, found)
                if let found { uv_freeaddrinfo(found) }
                attempt.handleClosed()
            }, address.host, String(address.port), &hints)
        if status < 0 {
            fail(String(cString: uv_strerror(status)))
            handleClosed()
        }
    }

    private func lookedUp(_ status: Int32, _ found: UnsafeMutablePointer<addrinfo>?) {
        guard !isDone else { return }
        guard status == 0, let info = found?.pointee else { return fail(String(cString: uv_strerror(status))) }
        let type = info.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        descriptor = socket(info.ai_family, type, info.ai_protocol)
        guard descriptor >= 0 else { return fail(systemMessage(errno)) }
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        if Glibc.connect(descriptor, info.ai_addr, info.ai_addrlen) != 0, errno != EINPROGRESS {
            return fail(systemMessage(errno))
        }
        guard uv_poll_init(loop.uv, poll, descriptor) == 0 else { return fail("the loop can't watch the socket") }
        uses += 1
        isPolling = true
        poll.pointee.data = timer.pointee.data
        uv_poll_start(poll, Int32(UV_WRITABLE.rawValue)) { handle, status, _ in
            Attempt.of(handle.unsafelyUnwrapped.pointee.data).writable(status)
        }
    }

    private func writable(_ status: Int32) {
        guard !isDone else { return }
        var error: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length)
        guard status == 0, error == 0 else { return fail(systemMessage(error == 0 ? EIO : error)) }
        isDone = true
        let connected = descriptor
        closeHandles { [self] in loop.adopt(descriptor: connected, role: role) }
    }

    private func fail(_ why: String) {
        guard !isDone else { return }
        isDone = true
        let abandoned = descriptor
        closeHandles {}
        if abandoned >= 0 { Glibc.close(abandoned) }
        loop.handler.connectFailed(role: role, address: address, why: why)
    }

    private var whenClosed: (() -> Void)?

    private func closeHandles(_ then: @escaping () -> Void) {
        whenClosed = then
        uv_timer_stop(timer)
        uv_close(UnsafeMutableRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            Attempt.of(handle.unsafelyUnwrapped.pointee.data).handleClosed()
        }
        guard isPolling else { return }
        uv_poll_stop(poll)
        uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            Attempt.of(handle.unsafelyUnwrapped.pointee.data).handleClosed()
        }
    }

    private func handleClosed() {
        uses -= 1
        guard uses == 0 else { return }
        whenClosed?()
        whenClosed = nil
        Unmanaged.passUnretained(self).release()
    }
}

extension EventLoop {
    /// Connects; the handler is told `opened` with this role, or `connectFailed`.
    public func connect(to address: HostPort, role: Connection.Role) {
        Attempt(address, role: role, loop: self).start()
    }
}
