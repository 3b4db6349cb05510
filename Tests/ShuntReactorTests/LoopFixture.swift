import Dispatch
import Glibc
import ShuntCore
import Synchronization
import Testing

@testable import ShuntReactor

/// What the handler of a test's loop has seen, for the test's thread.
final class Seen: Sendable {
    struct Facts {
        var opened: [String] = []
        var received: [UInt8] = []
        var closed: [CloseReason] = []
        var figures = LoopFigures()
    }

    private let facts = Mutex(Facts())
    private let news = DispatchSemaphore(value: 0)

    func note(_ change: (inout Facts) -> Void) {
        facts.withLock { change(&$0) }
        news.signal()
    }

    /// Waits until it is so. Fails the test after 20 s.
    func wait(for what: String, _ condition: (Facts) -> Bool) {
        while !facts.withLock({ condition($0) }) {
            guard news.wait(timeout: .now() + 20) == .success else {
                Issue.record("\(what) did not happen within 20 s")
                return
            }
        }
    }

    var now: Facts { facts.withLock { $0 } }
}

/// Notes what it receives, in frames that begin with their length in four bytes, and sends each back.
final class EchoHandler: EventLoopHandler {
    let loop: EventLoop
    private let seen: Seen
    private let makeTransport: @Sendable () -> (any Transport)?
    /// Whether each frame that comes stops the reading of its connection.
    var pausesAfterEach = false
    /// Takes each connection over with its first bytes.
    private let other: LoopThread<EchoHandler>?
    private(set) var connection: Connection?

    init(_ loop: EventLoop, _ seen: Seen, _ other: LoopThread<EchoHandler>?, _ makeTransport: @escaping @Sendable () -> (any Transport)?) {
        self.loop = loop
        self.other = other
        self.seen = seen
        self.makeTransport = makeTransport
    }

    func transport(for connection: Connection) -> (any Transport)? { makeTransport() }

    func framing(of role: Connection.Role) -> Framing {
        Framing { FrameExtent(length: Int($0.loadUnaligned(as: UInt32.self)), kind: .message) }
    }

    func opened(_ connection: Connection) {
        self.connection = connection
        seen.note { $0.opened.append(connection.remoteAddress.description) }
    }

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        if let other {
            guard let moving = loop.detach(connection, unread: bytes) else { return 0 }
            other.post { _ = $0.loop.adopt(moving) }
            return bytes.count
        }
        var taken = 0
        while bytes.count - taken >= 4 {
            let length = Int(bytes.loadUnaligned(fromByteOffset: taken, as: UInt32.self))
            guard bytes.count - taken >= length, !connection.isReadingPaused else { break }
            let frame = Bytes(rebasing: bytes[taken..<taken + length])
            seen.note { $0.received += frame }
            _ = loop.send(frame, to: connection)
            taken += length
            if pausesAfterEach { loop.setReadingPaused(true, .turn, connection) }
        }
        return taken
    }

    func pressure(_ pressure: ConsumerPressure, on connection: Connection) {}
    func closed(_ connection: Connection, reason: CloseReason) { seen.note { $0.closed.append(reason) } }
    func connectFailed(role: Connection.Role, address: HostPort, why: String) {}
    func turnEnded() { seen.note { $0.figures = loop.figures } }
    func tick() { seen.note { $0.figures = loop.figures } }
}

/// A loop with a listening socket whose connections have a transport.
struct LoopFixture {
    let seen = Seen()
    let thread: LoopThread<EchoHandler>
    private let address: HostPort

    /// - Parameter other: takes all connections over.
    init(
        limits: ConnectionLimits = ConnectionLimits(), movingTo other: LoopThread<EchoHandler>? = nil,
        _ transport: @escaping @Sendable () -> (any Transport)?
    ) throws {
        let socket = try ListeningSocket(HostPort("127.0.0.1", 0), name: "test")
        address = socket.address
        thread = try LoopThread(index: 0, name: "test", limits: limits) { [seen] loop in
            loop.accept(on: socket, within: DescriptorBudget(limit: 1 << 20, endpoints: 1)) {
                if case .client(let descriptor) = $0 { loop.adopt(descriptor: descriptor, role: .accepted(listener: 0)) }
            }
            return EchoHandler(loop, seen, other, transport)
        }
    }

    func stop() {
        thread.post { $0.loop.shutDown() }
        thread.join()
    }

    /// A blocking client, whose reads end after 20 s.
    /// - Parameter receiveBuffer: of its socket, in bytes.
    func connect(receiveBuffer: Int32? = nil) -> TestClient { TestClient(port: address.port, receiveBuffer: receiveBuffer) }

    /// Length, then filling that depends on the number.
    static func frame(_ number: Int, of length: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(length)) { Array($0) } + (4..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number) }
    }
}

struct TestClient {
    let descriptor: Int32

    init(port: Int, receiveBuffer: Int32?) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var size = receiveBuffer { setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4) }
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var yes: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, 4)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        precondition(status == 0)
    }

    func send(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return }
            sent += count
        }
    }

    /// So many bytes, or fewer where the other side closes first.
    func receive(_ count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var got = 0
        while got < count {
            let more = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress! + got, count - got, 0) }
            guard more > 0 else { break }
            got += more
        }
        return Array(bytes[..<got])
    }

    func close() { Glibc.close(descriptor) }
}
