import Glibc

/// The destination of lines: standard error, of whatever kind it is.
struct FileDescriptor: Sendable {
    static let standardError = FileDescriptor(number: STDERR_FILENO)

    var number: Int32

    /// Writes all bytes. Waits while the other end is slow; gives up if there is no other end.
    func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { buffer in
            var written = 0
            while written < buffer.count {
                let count = Glibc.write(number, buffer.baseAddress?.advanced(by: written), buffer.count - written)
                if count > 0 {
                    written += count
                } else if errno == EAGAIN {
                    // Another process on the same terminal has made it non-blocking.
                    var waiting = pollfd(fd: number, events: Int16(POLLOUT), revents: 0)
                    poll(&waiting, 1, -1)
                } else if errno != EINTR {
                    return
                }
            }
        }
    }
}
