import Glibc
import ShuntCore

/// Tells the service manager that started this process how it is, where it wants to know: a datagram to the socket that the
/// environment's NOTIFY_SOCKET names, as systemd's sd_notify(3) describes them. Without the variable nothing happens.
enum ServiceManager {
    /// What this process tells the manager of itself.
    enum State {
        /// Everything listens. The status is a line for people, which `systemctl status` shows.
        case ready(status: String)
        /// The configuration is being read again, until the next `ready`.
        case reloading
        /// The process is about to end.
        case stopping
    }

    /// A manager that doesn't read is waited for as long; it would count the process as not started.
    private static let patience = timeval(tv_sec: 5, tv_usec: 0)

    /// - Returns: why the manager was not told; nil if it was, or where there is none.
    static func tell(_ state: State) -> String? {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), !path.isEmpty else { return nil }
        return send(text(state), to: path).map { "NOTIFY_SOCKET \(PrintableText.of(path)): \($0)" }
    }

    private static func text(_ state: State) -> String {
        switch state {
        // A line break would begin another field.
        case .ready(let status): "READY=1\nSTATUS=\(String(status.map { $0.isNewline ? " " : $0 }))\n"
        case .reloading: "RELOADING=1\nMONOTONIC_USEC=\(monotonicMicroseconds)\nSTATUS=reading the configuration again\n"
        case .stopping: "STOPPING=1\nSTATUS=ending\n"
        }
    }

    private static var monotonicMicroseconds: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }

    private static func send(_ text: String, to path: String) -> String? {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        // "@" stands for the NUL with which an abstract name begins. Such a name has no end but the address's.
        let isAbstract = name[0] == UInt8(ascii: "@")
        guard isAbstract || name[0] == UInt8(ascii: "/") else { return "neither an absolute path nor an abstract name" }
        if isAbstract { name[0] = 0 }
        let room = MemoryLayout.size(ofValue: address.sun_path) - (isAbstract ? 0 : 1)
        guard name.count <= room else { return "longer than \(room) bytes" }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = MemoryLayout.size(ofValue: address.sun_family) + name.count + (isAbstract ? 0 : 1)

        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return String(cString: strerror(errno)) }
        defer { close(descriptor) }
        var patience = patience
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let bytes = Array(text.utf8)
        let sent = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), $0, socklen_t(length))
            }
        }
        return sent == bytes.count ? nil : String(cString: strerror(errno))
    }
}
