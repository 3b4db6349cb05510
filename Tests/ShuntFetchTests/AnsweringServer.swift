import Dispatch
import Glibc
import Synchronization

/// An HTTP server that answers by the path of a request, as in `/status/500`.
final class AnsweringServer: Sendable {
    let port: Int
    private let socket: Int32
    private let counts = Mutex((requests: 0, underWay: 0, most: 0))
    private let queue = DispatchQueue(label: "answering-server", attributes: .concurrent)

    init() {
        socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let socket = socket
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(socket, address, length) == 0 && listen(socket, 128) == 0 && getsockname(socket, address, &length) == 0
            }
        }
        precondition(bound, "no port to listen on")
        port = Int(UInt16(bigEndian: address.sin_port))
        DispatchQueue(label: "answering-server.accept").async { [self] in
            while true {
                let client = accept(socket, nil, nil)
                guard client >= 0 else { return }
                queue.async { self.serve(client) }
            }
        }
    }

    func stop() { shutdown(socket, Int32(SHUT_RDWR)) }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }
    var requests: Int { counts.withLock { $0.requests } }
    /// The most requests that were under way at once.
    var most: Int { counts.withLock { $0.most } }

    private func serve(_ client: Int32) {
        defer { close(client) }
        guard let request = Self.read(client) else { return }
        let number = counts.withLock { counts in
            counts.requests += 1
            counts.underWay += 1
            counts.most = max(counts.most, counts.underWay)
            return counts.requests
        }
        defer { counts.withLock { $0.underWay -= 1 } }
        let path = request.head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
        switch path {
        case "/silent": _ = Self.read(client)
        case "/garbage": Self.send(client, "\u{1}\u{2}not HTTP at all\r\n\r\n")
        case "/large", "/counted": Self.sendLarge(client, isCounted: path == "/counted")
        case "/headers":
            Self.send(client, "HTTP/1.1 200 OK\r\n")
            while Self.send(client, String(repeating: "Name: value\r\n", count: 5000)) {}
        case "/heads":
            let heads = (0..<400).map { "X-\($0): \(String(repeating: "v", count: 50))\r\n" }.joined()
            Self.send(client, "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\nHTTP/1.1 200 OK\r\n\(heads)Content-Length: 0\r\nConnection: close\r\n\r\n")
        case "/trailer":
            let head = "HTTP/1.1 200 OK\r\nX-Uid: real\r\nTrailer: X-Uid\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            Self.send(client, head + "2\r\nok\r\n0\r\nX-Uid: trailer\r\n\r\n")
        case "/type":
            let types = request.head.split(separator: "\r\n").filter { $0.lowercased().hasPrefix("content-type:") }
            Self.answer(client, 200, types.joined(separator: ","))
        case "/slow":
            usleep(50_000)
            Self.answer(client, 200, "slow")
        case "/once": Self.answer(client, number == 1 ? 503 : 200, "number \(number)")
        case "/redirect": Self.send(client, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")
        case "/echo": Self.answer(client, 200, request.head.prefix { $0 != " " } + ":" + request.body)
        default: Self.answer(client, Int(path.split(separator: "/").last ?? "") ?? 404, "status")
        }
    }

    private static func sendLarge(_ client: Int32, isCounted: Bool) {
        send(client, "HTTP/1.1 200 OK\r\n\(isCounted ? "Content-Length: 104857600\r\n" : "")Connection: close\r\n\r\n")
        let part = String(repeating: "x", count: 65_536)
        for _ in 0..<1600 where !send(client, part) { return }
    }

    private static func answer(_ client: Int32, _ status: Int, _ body: some StringProtocol) {
        send(client, "HTTP/1.1 \(status) Status\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    }

    @discardableResult
    private static func send(_ client: Int32, _ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(client, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    /// nil once the client has closed.
    private static func read(_ client: Int32) -> (head: String, body: String)? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(client, &buffer, buffer.count, 0)
            guard count > 0 else { return nil }
            bytes += buffer[..<count]
            let text = String(decoding: bytes, as: UTF8.self)
            guard let end = text.firstRange(of: "\r\n\r\n") else { continue }
            let (head, body) = (String(text[..<end.lowerBound]), String(text[end.upperBound...]))
            let field = head.lowercased().firstRange(of: "content-length: ").map { head.lowercased()[$0.upperBound...].prefix(while: \.isNumber) }
            if body.utf8.count >= field.flatMap({ Int($0) }) ?? 0 { return (head, body) }
        }
    }
}
