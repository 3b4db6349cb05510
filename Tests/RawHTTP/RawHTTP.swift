import Dispatch
import Glibc

/// A client that sends exactly the bytes it is told to, for tests of servers.
public final class RawHTTP: Sendable {
    public struct Answer: Equatable, Sendable {
        public var status: Int
        /// By name in lower case.
        public var headers: [String: String]
        public var body: String
    }

    public struct Failure: Error {
        public var what: String
        public var errnoCode: Int32
    }

    /// Serial, which gives each client a thread to block.
    private let queue = DispatchQueue(label: "raw-http")
    private let socket: Int32

    /// Connects to 127.0.0.1. Whatever takes longer than 20 seconds fails.
    public init(port: Int) throws {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(UInt16(port)).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let connected = withUnsafeBytes(of: &address) { bytes in
            connect(socket, bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(bytes.count))
        }
        guard connected == 0 else {
            let code = errno
            close(socket)
            throw Failure(what: "connect", errnoCode: code)
        }
    }

    deinit {
        close(socket)
    }

    /// Sends as much as the server takes: one that answers early may close before the end.
    public func send(_ bytes: some Collection<UInt8> & Sendable) async {
        await onQueue { [socket] in
            var rest = ArraySlice(Array(bytes))
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
                guard count > 0 else { return }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Says that nothing more will be sent; answers can still come.
    public func finish() {
        shutdown(socket, Int32(SHUT_WR))
    }

    /// All that comes until the server closes.
    public func readToEnd() async throws -> [UInt8] {
        try await onQueue { [socket] () -> Result<[UInt8], Failure> in
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(socket, &buffer, buffer.count, 0)
                if count > 0 {
                    received += buffer[..<count]
                } else if count == 0 || errno == ECONNRESET {
                    return .success(received)
                } else {
                    return .failure(Failure(what: "receive", errnoCode: errno))
                }
            }
        }.get()
    }

    /// What comes up to and with a text; or until the server closes.
    public func read(until text: String) async throws -> [UInt8] {
        try await onQueue { [socket] () -> Result<[UInt8], Failure> in
            var received: [UInt8] = []
            var byte: UInt8 = 0
            while !received.suffix(text.utf8.count).elementsEqual(text.utf8) {
                let count = recv(socket, &byte, 1, 0)
                if count == 0 { break }
                guard count == 1 else { return .failure(Failure(what: "receive", errnoCode: errno)) }
                received.append(byte)
            }
            return .success(received)
        }.get()
    }

    /// Sends one request, after which the server is to close, and gives its answer.
    public static func exchange(_ request: String, port: Int) async throws -> Answer {
        let client = try RawHTTP(port: port)
        await client.send(Array(request.utf8))
        return try parse(await client.readToEnd())
    }

    /// A request without a body.
    public static func get(_ target: String, method: String = "GET", port: Int) async throws -> Answer {
        try await exchange("\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", port: port)
    }

    public static func post(_ target: String, _ body: String, port: Int) async throws -> Answer {
        try await exchange(
            "POST \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)",
            port: port)
    }

    public static func parse(_ bytes: [UInt8]) throws -> Answer {
        // Lines end in CRLF, which is one Character.
        let text = String(decoding: bytes, as: UTF8.self)
        let lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines[0].split(separator: " ")
        guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
            throw Failure(what: "not an HTTP answer: \(text.prefix(200))", errnoCode: 0)
        }
        var headers: [String: String] = [:]
        var bodyStart = lines.count
        for (index, line) in lines.enumerated().dropFirst() {
            guard !line.isEmpty else {
                bodyStart = index + 1
                break
            }
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts.count > 1 ? String(parts[1].drop { $0 == " " }) : ""
        }
        return Answer(status: status, headers: headers, body: lines[min(bodyStart, lines.count)...].joined(separator: "\r\n"))
    }

    private func onQueue<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }
}
