import CLoad
import Glibc
import ShuntCore

/// A broker's address, found once, and the local addresses that connections may have.
struct BrokerTarget: Sendable {
    /// Bytes of a `sockaddr`.
    struct Address: Sendable {
        var family: Int32
        var bytes: [UInt8]

        /// Finds a host's addresses.
        static func all(of host: String, port: Int) throws(ShuntError) -> [Address] {
            var hints = addrinfo()
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var found: UnsafeMutablePointer<addrinfo>?
            let code = getaddrinfo(host, String(port), &hints, &found)
            guard code == 0 else {
                throw ShuntError(
                    .addressUnavailable, "the host was not found: \(String(cString: gai_strerror(code)).lowercased())", at: host)
            }
            defer { freeaddrinfo(found) }
            var addresses: [Address] = []
            var next = found
            while let info = next?.pointee {
                addresses.append(
                    Address(family: info.ai_family, bytes: Array(UnsafeRawBufferPointer(start: info.ai_addr, count: Int(info.ai_addrlen)))))
                next = info.ai_next
            }
            return addresses
        }

        /// Whether it is 127.x.x.x.
        var isLoopback: Bool { family == AF_INET && bytes.count > 4 && bytes[4] == 127 }

        func withPointer<Value>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Value) -> Value {
            bytes.withUnsafeBytes { bytes in
                // The bytes are those of a `sockaddr`, which `getaddrinfo` has made: there are some.
                body(bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
            }
        }
    }

    enum Opening {
        /// The connection is there, or under way.
        case begun(Int32)
        /// No port of this local address is free.
        case noPort
        case failed(Int32)
    }

    var remote: Address
    /// nil: the system's choice.
    var sources: [Address?]

    /// A connection on loopback may come from other addresses of 127.0.0.0/8 when the ports of one are all in use.
    static let loopbackSources = 16

    /// - Throws: `usage` where a source is no address of the broker's family.
    init(_ remote: Address, sources: [String]) throws(ShuntError) {
        self.remote = remote
        if sources.isEmpty {
            self.sources = [nil]
            guard remote.isLoopback else { return }
            for last in 2...Self.loopbackSources { self.sources += try Address.all(of: "127.0.0.\(last)", port: 0) }
            return
        }
        self.sources = []
        for source in sources {
            guard HostPort.isHost(source), let address = try Address.all(of: source, port: 0).first(where: { $0.family == remote.family }) else {
                throw ShuntError(
                    .usage, "'\(source)' is no address of the broker's kind", at: "--source",
                    help: "addresses of this machine, with commas between, as in 10.0.0.1,10.0.0.2")
            }
            self.sources.append(address)
        }
    }

    /// Begins to connect.
    func open(source: Int) -> Opening {
        let descriptor = load_socket(remote.family)
        guard descriptor >= 0 else { return .failed(errno) }
        load_do_not_pace(descriptor)
        load_do_not_delay(descriptor)
        if let local = sources[source] {
            load_bind_without_port(descriptor)
            let bound = local.withPointer { bind(descriptor, $0, $1) }
            guard bound == 0 else {
                let code = errno
                close(descriptor)
                return .failed(code)
            }
        }
        let result = remote.withPointer { connect(descriptor, $0, $1) }
        let code = errno
        if result == 0 || code == EINPROGRESS { return .begun(descriptor) }
        close(descriptor)
        return code == EADDRNOTAVAIL ? .noPort : .failed(code)
    }
}
