import ExchangeCodec
import Glibc
import NIOCore
import NIOPosix
import ShuntCore
import Synchronization

@testable import ShuntClient

/// A master or a worker as a test wants it: real sockets, a free port, and a script that answers each frame.
final class FakeServer: Sendable {
    /// - Returns: the frames to answer with; nil hangs up.
    typealias Script = @Sendable (Frame) -> [Frame]?

    let address: HostPort
    private let listener: any Channel
    private let connections: Connections

    private init(_ listener: any Channel, _ connections: Connections, port: Int) {
        self.listener = listener
        self.connections = connections
        address = HostPort("127.0.0.1", port)
    }

    /// - Parameter port: of a server that has been stopped; 0: a free one.
    static func start(port: Int = 0, _ script: @escaping Script) async throws -> FakeServer {
        let connections = Connections()
        let port = port == 0 ? try PortReservation.take() : port
        let listener = try await ServerBootstrap(group: NIOSingletons.posixEventLoopGroup)
            .serverChannelOption(.socketOption(.init(rawValue: SO_REUSEPORT)), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                connections.add(channel)
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FakeServerHandler(script: script, connections: connections))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        return FakeServer(listener, connections, port: listener.localAddress?.port ?? 0)
    }

    /// Frames that have arrived.
    var received: [Frame] { connections.state.withLock { $0.received } }
    var connectionCount: Int { connections.state.withLock { $0.open.count } }

    /// Sends to every client.
    func send(_ frames: [Frame]) { sendBytes(frames.flatMap { $0.encoded() }) }

    func sendBytes(_ bytes: [UInt8]) {
        let bytes = ByteBuffer(bytes: bytes)
        for channel in connections.state.withLock({ $0.open }) { channel.writeAndFlush(bytes, promise: nil) }
    }

    func hangUp() async {
        for channel in connections.state.withLock({ $0.open }) { try? await channel.close().get() }
    }

    func stop() async {
        try? await listener.close().get()
        await hangUp()
    }

    /// Returns when so many frames have arrived that this is true of them.
    func waitUntil(_ condition: @escaping @Sendable ([Frame]) -> Bool) async {
        await connections.waitUntil { condition($0.received) }
    }

    func waitForConnections(_ count: Int) async {
        await connections.waitUntil { $0.open.count == count }
    }
}

/// What a fake server's clients have done, and who waits for it.
final class Connections: Sendable {
    struct State {
        var open: [any Channel] = []
        var received: [Frame] = []
        var waiters: [(id: Int, condition: @Sendable (State) -> Bool, continuation: CheckedContinuation<Void, Never>)] = []
        var lastWaiter = 0
    }

    let state = Mutex(State())

    func add(_ channel: any Channel) {
        change { $0.open.append(channel) }
        channel.closeFuture.whenComplete { _ in
            self.change { state in state.open.removeAll { $0 === channel } }
        }
    }

    func note(_ frame: Frame) { change { $0.received.append(frame) } }

    /// Gives up when the task is cancelled, as it is when a test takes longer than it may.
    func waitUntil(_ condition: @escaping @Sendable (State) -> Bool) async {
        let id = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                state.withLock { $0.waiters.append((id, condition, continuation)) }
                change { _ in }
                if Task.isCancelled { giveUp(id) }
            }
        } onCancel: {
            giveUp(id)
        }
    }

    private func giveUp(_ id: Int) {
        let waiter = state.withLock { state in
            state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
        }
        waiter?.resume()
    }

    private func change(_ body: (inout State) -> Void) {
        let ready = state.withLock { state in
            body(&state)
            let snapshot = state
            let ready = state.waiters.filter { $0.condition(snapshot) }
            state.waiters.removeAll { $0.condition(snapshot) }
            return ready.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }
}

private final class FakeServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let script: FakeServer.Script
    private let connections: Connections
    private var partial = ByteBuffer()

    init(script: @escaping FakeServer.Script, connections: Connections) {
        self.script = script
        self.connections = connections
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var arrived = unwrapInboundIn(data)
        partial.writeBuffer(&arrived)
        for frame in takeFrames() {
            connections.note(frame)
            guard let answers = script(frame) else { return context.close(promise: nil) }
            if !answers.isEmpty {
                context.write(wrapOutboundOut(ByteBuffer(bytes: answers.flatMap { $0.encoded() })), promise: nil)
            }
        }
        context.flush()
    }

    private func takeFrames() -> [Frame] {
        var frames: [Frame] = []
        partial.readWithUnsafeReadableBytes { bytes in
            var offset = 0
            while offset < bytes.count {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[offset...])
                guard case .frame(let view) = FrameDecoder.decode(rest), let start = rest.baseAddress else { break }
                frames.append(Frame(view, in: start))
                offset += Int(view.size)
            }
            return offset
        }
        return frames
    }
}

/// Ports that nobody else on the machine can get before this process ends, whether or not somebody listens on them here:
/// a socket is bound to each, and connections to it are refused until a server listens beside it.
enum PortReservation {
    static func take() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(descriptor, generic, size) == 0 && getsockname(descriptor, generic, &size) == 0
            }
        }
        guard isBound else { throw ShuntError(.addressUnavailable, "no free port: error \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}

// MARK: Scripts

extension FakeServer {
    /// A worker that says yes to everything.
    static func worker(port: Int = 0) async throws -> FakeServer {
        try await start(port: port) { [Frame(acknowledging: $0.id)] }
    }

    /// A worker that refuses frames of one type (and chat key), and says yes to the rest.
    static func worker(refusing type: FrameType, key: String? = nil, _ status: Int16, _ text: String) async throws -> FakeServer {
        try await start { frame in
            let isRefused = frame.type == type && (key == nil || frame.key == key)
            return [isRefused ? Frame(acknowledging: frame.id, status: status, text: text) : Frame(acknowledging: frame.id)]
        }
    }

    /// A worker that takes frames and answers nothing.
    static func silentWorker() async throws -> FakeServer {
        try await start { _ in [] }
    }

    /// A worker that refuses everything.
    static func refusing(_ status: Int16, _ text: String) async throws -> FakeServer {
        try await start { [Frame(acknowledging: $0.id, status: status, text: text)] }
    }

    /// A master that lists what the box holds at the moment.
    static func master(_ workers: Box<[HostPort]>) async throws -> FakeServer {
        try await start { frame in
            let list = workers.value
            guard !list.isEmpty else { return [Frame(acknowledging: frame.id, status: 500, text: "not found server")] }
            return [Frame(acknowledging: frame.id, text: AllocationReply.encode(list.map(\.description)))]
        }
    }

    /// An address that nobody listens on.
    static func deadAddress() throws -> HostPort {
        HostPort("127.0.0.1", try PortReservation.take())
    }
}

/// A value that a script and a test share.
final class Box<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) { state = Mutex(value) }

    var value: Value {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }

    func change(_ body: (inout Value) -> Void) { state.withLock { body(&$0) } }
}

/// Times short enough for a test, long enough for a busy machine.
func options(patience: Duration = .seconds(20)) -> ConnectionOptions {
    ConnectionOptions(
        connectTimeout: .seconds(10), replyTimeout: .seconds(10), patience: patience,
        backoff: Backoff(initial: .milliseconds(5), maximum: .milliseconds(50)))
}
