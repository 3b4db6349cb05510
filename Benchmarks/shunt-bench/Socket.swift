import Glibc
import ShuntCore

/// A blocking TCP client, as thin as it gets.
final class Socket: @unchecked Sendable {
    // `@unchecked Sendable`: a descriptor; one thread sends and one receives.
    let descriptor: Int32

    init(host: String, port: Int) throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &found) == 0, let info = found?.pointee else {
            throw ShuntError(.addressUnavailable, "\(host) is no address")
        }
        defer { freeaddrinfo(found) }
        descriptor = socket(info.ai_family, info.ai_socktype, 0)
        guard connect(descriptor, info.ai_addr, info.ai_addrlen) == 0 else {
            Glibc.close(descriptor)
            throw ShuntError(.addressUnavailable, "can't connect to \(host):\(port): \(String(cString: strerror(errno)))")
        }
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    deinit { Glibc.close(descriptor) }

    /// What is not there by then will not come.
    func setReadTimeout(seconds: Int) {
        var timeout = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws {
        var offset = 0
        while offset < bytes.count {
            let count = send(descriptor, bytes.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
            guard count > 0 else { throw ShuntError(.internalError, "the server closed a connection") }
            offset += count
        }
    }

    func write(_ bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try write($0) } }

    /// Reads something; 0 at the end.
    func read(_ buffer: UnsafeMutableRawBufferPointer, wait: Bool = true) -> Int {
        recv(descriptor, buffer.baseAddress, buffer.count, wait ? 0 : Int32(MSG_DONTWAIT))
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

func monotonicSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Runs `body` on a thread of its own.
final class LoadThread: Sendable {
    private nonisolated(unsafe) var handle = pthread_t()
    private final class Body: Sendable {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(_ body: @escaping @Sendable () -> Void) {
        let argument = Unmanaged.passRetained(Body(body)).toOpaque()
        pthread_create(&handle, nil, { argument in
            Unmanaged<Body>.fromOpaque(argument!).takeRetainedValue().run()
            return nil
        }, argument)
    }

    func join() { pthread_join(handle, nil) }
}
