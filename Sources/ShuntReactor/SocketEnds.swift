import Glibc
import ShuntCore

extension HostPort {
    /// The remote or local end of a socket; nil if it has none.
    static func of(_ descriptor: Int32, remote: Bool) -> HostPort? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                remote ? getpeername(descriptor, $0, &length) : getsockname(descriptor, $0, &length)
            }
        }
        guard status == 0 else { return nil }
        return withUnsafePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { HostPort(raw: $0, length: length) }
        }
    }

    private init?(raw: UnsafePointer<sockaddr>, length: socklen_t) {
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        var service = [CChar](repeating: 0, count: Int(NI_MAXSERV))
        let status = getnameinfo(
            raw, length, &host, socklen_t(host.count), &service, socklen_t(service.count), NI_NUMERICHOST | NI_NUMERICSERV)
        guard status == 0 else { return nil }
        let text = String(decoding: host.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        let port = String(decoding: service.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        // An IPv4 client of a wildcard socket shows as ::ffff:a.b.c.d; clients split addresses at the colons.
        self.init(text.hasPrefix("::ffff:") ? String(text.dropFirst(7)) : text, Int(port) ?? 0)
    }
}

extension PeerAddress {
    /// The remote end of a socket; zeros if it has none, or has it no longer.
    public init(remoteOf descriptor: Int32) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &length) }
        }
        guard status == 0 else {
            self.init()
            return
        }
        let family = Int32(storage.ss_family)
        guard family == AF_INET || family == AF_INET6 else {
            self = .unix
            return
        }
        self = withUnsafeBytes(of: &storage) { bytes in
            let port = UInt16(bigEndian: bytes.load(fromByteOffset: 2, as: UInt16.self))
            guard family == AF_INET6 else {
                return PeerAddress(ipv4: UInt32(bigEndian: bytes.load(fromByteOffset: 4, as: UInt32.self)), port: port)
            }
            return PeerAddress(
                high: UInt64(bigEndian: bytes.load(fromByteOffset: 8, as: UInt64.self)),
                low: UInt64(bigEndian: bytes.load(fromByteOffset: 16, as: UInt64.self)), port: port)
        }
    }
}

/// The system's words for an errno.
func systemMessage(_ error: Int32) -> String { String(cString: strerror(error)) }
