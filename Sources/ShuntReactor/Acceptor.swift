import CLinux
import CUV
import Glibc
import ShuntCore

// Unsafe: libuv's handles are C structs. The `data` of each is an uncounted reference to its owner, which lives until the handle is closed.

/// A listening socket. Opened on any thread, before the loop that serves it runs, so that an address in use is told at once.
public struct ListeningSocket: Sendable {
    public let descriptor: Int32
    /// With the real port where 0 was asked for.
    public let address: ListenAddress

    /// - Parameter name: what it is for, for the error: `worker.listeners.exchange.listen`.
    /// - Throws: `address.in_use`, `address.unavailable`.
    public init(_ wanted: ListenAddress, name: String) throws(ShuntError) {
        switch wanted {
        case .tcp(let address): try self.init(address, name: name)
        case .unix(let path): try self.init(path: path, name: name)
        }
    }

    public init(_ wanted: HostPort, name: String) throws(ShuntError) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(wanted.host.isEmpty ? nil : wanted.host, String(wanted.port), &hints, &found)
        guard status == 0, let first = found else {
            throw ShuntError(
                .addressUnavailable, "\(wanted.host) is not an address of this machine: \(String(cString: gai_strerror(status)))",
                at: name, help: "an IP address or a host name, and a port: 127.0.0.1:4091")
        }
        defer { freeaddrinfo(found) }
        let info = first.pointee
        let descriptor = try Self.open(info.ai_family, info.ai_protocol, "\(wanted)", name)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        guard bind(descriptor, info.ai_addr, info.ai_addrlen) == 0, listen(descriptor, Self.backlog) == 0 else {
            let error = errno
            Glibc.close(descriptor)
            throw Self.failure(error, "\(wanted)", name, remedy: "end the process that has it, or choose another port (0 takes a free one)")
        }
        self.descriptor = descriptor
        address = .tcp(HostPort.of(descriptor, remote: false) ?? wanted)
    }

    /// Of a socket in the file system: its owner and group may connect. A socket that a process has left behind is replaced, one that is
    /// listened on, and a file of another kind, are not.
    private init(path: String, name: String) throws(ShuntError) {
        let descriptor = try Self.open(AF_UNIX, 0, path, name)
        let remedy = "end the process that has it, or choose another path"
        if Self.call(bind, descriptor, path) != 0 {
            let error = errno
            guard error == EADDRINUSE, try Self.isLeftBehind(path, name), unlink(path) == 0, Self.call(bind, descriptor, path) == 0 else {
                Glibc.close(descriptor)
                throw Self.failure(error, path, name, remedy: remedy)
            }
        }
        guard chmod(path, 0o660) == 0, listen(descriptor, Self.backlog) == 0 else {
            let error = errno
            Glibc.close(descriptor)
            unlink(path)
            throw Self.failure(error, path, name, remedy: remedy)
        }
        self.descriptor = descriptor
        address = .unix(path)
    }

    /// Whether the file is a socket that nobody listens on.
    private static func isLeftBehind(_ path: String, _ name: String) throws(ShuntError) -> Bool {
        var file = stat()
        guard lstat(path, &file) == 0, file.st_mode & S_IFMT == S_IFSOCK else { return false }
        let probe = try open(AF_UNIX, 0, path, name)
        defer { Glibc.close(probe) }
        return call(connect, probe, path) != 0 && errno == ECONNREFUSED
    }

    private static func open(_ family: Int32, _ protocolNumber: Int32, _ wanted: String, _ name: String) throws(ShuntError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(family, type, protocolNumber)
        guard descriptor >= 0 else { throw ShuntError(.addressUnavailable, "no socket for \(wanted): \(systemMessage(errno))", at: name) }
        return descriptor
    }

    /// Calls `bind` or `connect` with the address of a path, which is not too long.
    private static func call(_ body: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, _ descriptor: Int32, _ path: String) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    private static func failure(_ error: Int32, _ wanted: String, _ name: String, remedy: String) -> ShuntError {
        let inUse = error == EADDRINUSE
        return ShuntError(
            inUse ? .addressInUse : .addressUnavailable, "can't listen on \(wanted): \(systemMessage(error))", at: name,
            help: inUse ? remedy : "an address of this machine, or unix: and a path in a folder that this user may write to")
    }

    private static let backlog: Int32 = 4096

    public func close() {
        Glibc.close(descriptor)
        if case .unix(let path) = address { unlink(path) }
    }
}

/// What an acceptor hands on.
public enum Accepted: Equatable, Sendable {
    /// A client's connected socket, non-blocking; the receiver's to adopt or close.
    case client(Int32)
    /// The same, beyond the descriptors that are for clients.
    case clientBeyondDescriptors(Int32)
    /// The system gave no descriptor: clients wait in the kernel's queue for a tenth of a second.
    case noDescriptor
}

/// Accepts connections of one listening socket on one loop, and hands them on.
final class Acceptor {
    private let socket: ListeningSocket
    private let descriptors: DescriptorBudget
    private let poll: UnsafeMutablePointer<uv_poll_t>
    private unowned let loop: EventLoop
    private let accepted: (Accepted) -> Void
    private let retry: UnsafeMutablePointer<uv_timer_t>

    init(_ socket: ListeningSocket, loop: EventLoop, descriptors: DescriptorBudget, accepted: @escaping (Accepted) -> Void) {
        self.socket = socket
        self.descriptors = descriptors
        self.loop = loop
        self.accepted = accepted
        poll = .allocate(capacity: 1)
        retry = .allocate(capacity: 1)
        uv_poll_init(loop.uv, poll, socket.descriptor)
        uv_timer_init(loop.uv, retry)
        poll.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        retry.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        start()
    }

    private func start() {
        uv_poll_start(poll, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            Unmanaged<Acceptor>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped).takeUnretainedValue()
                .ready()
        }
    }

    /// Takes a bounded number at once, so that a storm of clients leaves the others their turn.
    private func ready() {
        for _ in 0..<64 {
            let client = linux_accept(socket.descriptor)
            if client >= 0 {
                var yes: Int32 = 1
                setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
                accepted(descriptors.isForClients(client) ? .client(client) : .clientBeyondDescriptors(client))
                continue
            }
            switch errno {
            case EINTR, ECONNABORTED: continue
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: return pause()
            default: return
            }
        }
    }

    /// Out of descriptors: waiting clients stay in the kernel's queue for a while.
    private func pause() {
        loop.figures.errors += 1
        accepted(.noDescriptor)
        uv_poll_stop(poll)
        uv_timer_start(
            retry,
            { handle in
                Unmanaged<Acceptor>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped).takeUnretainedValue()
                    .start()
            }, 100, 0)
    }

    func close() {
        uv_poll_stop(poll)
        uv_timer_stop(retry)
        // Both handles go before their memory does; the box waits for the second.
        let left = Unmanaged.passRetained(self).toOpaque()
        poll.pointee.data = nil
        retry.pointee.data = left
        uv_close(UnsafeMutableRawPointer(poll).assumingMemoryBound(to: uv_handle_t.self), nil)
        uv_close(UnsafeMutableRawPointer(retry).assumingMemoryBound(to: uv_handle_t.self)) { handle in
            Unmanaged<Acceptor>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped).release()
        }
        socket.close()
    }

    deinit {
        poll.deallocate()
        retry.deallocate()
    }
}

extension EventLoop {
    /// Serves a listening socket on this loop.
    /// - Parameter accepted: gets each connected socket; adopt it on this loop or hand it to another.
    public func accept(on socket: ListeningSocket, within descriptors: DescriptorBudget, _ accepted: @escaping (Accepted) -> Void) {
        acceptors.append(Acceptor(socket, loop: self, descriptors: descriptors, accepted: accepted))
    }
}
