import CLoad
import Glibc
import ShuntCore

/// A blocking TCP client, as thin as it gets.
class Socket: @unchecked Sendable {
    // `@unchecked Sendable`: a descriptor; one thread sends and one receives. A subclass says where it allows less.
    let descriptor: Int32

    /// - Parameter receiveBuffer: bytes that may wait in the kernel; nil: as many as it likes.
    init(host: String, port: Int, receiveBuffer: Int? = nil) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let info = found?.pointee else {
            throw ShuntError(.addressUnavailable, "\(host) is no address")
        }
        defer { freeaddrinfo(found) }
        descriptor = socket(info.ai_family, info.ai_socktype, 0)
        load_do_not_pace(descriptor)
        if let receiveBuffer {
            var bytes = Int32(receiveBuffer)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        guard connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            Glibc.close(descriptor)
            throw ShuntError(.addressUnavailable, "can't connect to \(host):\(port): \(String(cString: strerror(errno)))")
        }
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
        setKernelTimeout(seconds: Self.patience)
    }

    /// Seconds that a read waits where none are set: a server that says nothing for so long is broken.
    static let patience = 30

    deinit { Glibc.close(descriptor) }

    /// What is not there by then will not come.
    func setReadTimeout(seconds: Int) { setKernelTimeout(seconds: seconds) }

    private func setKernelTimeout(seconds: Int) {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var offset = 0
        while offset < bytes.count {
            // There are bytes left, so there is an address.
            let count = Glibc.send(descriptor, bytes.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw ShuntError(.internalError, "the server closed a connection") }
            offset += count
        }
    }

    /// Sends a part of a file; its pages are not copied.
    func send(_ file: Int32, _ range: Range<Int>) throws {
        var offset = off_t(range.lowerBound)
        while offset < range.upperBound {
            let count = sendfile(descriptor, file, &offset, range.upperBound - Int(offset))
            guard count > 0 || errno == EINTR else { throw ShuntError(.internalError, "the server closed a connection") }
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Reads and forgets up to so many bytes, without copying them; 0 at the end, -1 where there is nothing.
    func discard(_ count: Int = 1 << 20, wait: Bool = false) -> Int {
        recv(descriptor, nil, count, Int32(MSG_TRUNC) | (wait ? 0 : Int32(MSG_DONTWAIT)))
    }

    /// The same for sockets whose bytes must be looked at.
    final func discardByReading(_ count: Int, wait: Bool) -> Int {
        withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 1) { buffer in
            var total = 0
            while total < count || holdsUnread {
                let got = read(buffer, wait: wait && total == 0)
                guard got > 0 else { return total > 0 ? total : got }
                total += got
            }
            return total
        }
    }

    /// Whether there is something to read that the kernel has no more.
    var holdsUnread: Bool { false }

    /// Who waits until it can read is woken when so many bytes are there, not for each packet. Reads that wait themselves are not for this:
    /// what they have begun to take counts no more, and nothing wakes them for the rest.
    func setWakeUp(at bytes: Int) {
        var bytes = Int32(bytes)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVLOWAT, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }

    func waitUntilReadable() {
        var wanted = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        poll(&wanted, 1, -1)
    }

    /// Reads something; 0 at the end.
    func read(_ buffer: UnsafeMutableRawBufferPointer, wait: Bool = true) -> Int {
        recv(descriptor, buffer.baseAddress, buffer.count, wait ? 0 : Int32(MSG_DONTWAIT))
    }

    /// What has come and is not read yet; at most what `buffer` takes.
    /// - Returns: bytes.
    func peek(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
        recv(descriptor, buffer.baseAddress, buffer.count, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    }

    /// Reads and forgets exactly so many bytes.
    func skip(_ count: Int) throws {
        var left = count
        try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            while left > 0 {
                let got = read(UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(left, 4096)]))
                guard got > 0 else {
                    let why = got == 0 ? "the server closed a connection" : "something did not come, or not whole"
                    throw ShuntError(.internalError, why)
                }
                left -= got
            }
        }
    }
}
