import ShuntCore

/// What stands between a connection's socket and its frames: TLS, WebSocket, a proxy's header.
///
/// Bytes in, bytes out: the loop reads and writes the socket. A transport makes no system call, and is called on its loop's thread alone.
public protocol Transport: AnyObject {
    /// Where it stands; the loop looks after each call.
    var phase: TransportPhase { get }
    /// The client's address, where the transport knows better than the socket.
    var remoteAddress: PeerAddress? { get }
    /// The client's certificate, once the transport has verified it.
    var clientCertificate: ClientCertificate? { get }
    /// Seconds that its opening may take, without the time that it waits for its turn to `work`; nil: `limits.frame_time`.
    var openingSeconds: Int? { get }
    /// It has something to compute that takes long, a handshake's share; the loop looks after `read` and `work`.
    var hasWork: Bool { get }

    /// Takes bytes that the peer has sent, and gives the plain ones among them.
    ///
    /// Called again with the rest and new space, and at last without any bytes, until it gives nothing: what it has decrypted leaves it in
    /// the turn in which it came. It keeps what is incomplete, and takes all bytes before it gives nothing.
    /// - Parameter space: at least 8 KiB.
    func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress

    /// Takes plain bytes to send, and gives bytes for the wire, its own among them (a handshake's, a pong).
    ///
    /// Called, also without any bytes, after each read and whenever something waits, until it takes and gives nothing: it has no more to
    /// write, or waits for its peer. Bytes that it has taken are written for the out-buffer's accounts; it is not offered them again.
    /// - Parameter space: at least 32 KiB.
    func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress

    /// Computes what takes long: about a millisecond at most. The loop has its connections do this in turn, few in each of its turns, and
    /// reads nothing more for a connection that waits for it. Then it calls `read` without any bytes, and `write`.
    func work() throws(TransportFailure)

    /// All plain bytes have been taken and the connection is to close: what `write` gives now is the end. Called once, if at all.
    func finish()
    /// The same, with the reason. The loop calls this one.
    func finish(because reason: CloseReason)
}

extension Transport {
    public var remoteAddress: PeerAddress? { nil }
    public var clientCertificate: ClientCertificate? { nil }
    public var openingSeconds: Int? { nil }
    public var hasWork: Bool { false }
    public func work() throws(TransportFailure) {}
    public func finish() {}
    public func finish(because reason: CloseReason) { finish() }
}

public enum TransportPhase {
    /// Waits for its peer before plain bytes can flow; says for what: `the TLS handshake`. Bounded by `openingSeconds`.
    case opening(String)
    case open
    /// Has done its part: from here on the bytes are the socket's own, or go through the next.
    case passed(next: (any Transport)?)
    /// The peer has said that it sends no more. What the transport still wants to write is written once, then the connection closes.
    case ended
}

/// What a transport took of the bytes that it was offered, and gave into the space for it.
public struct TransportProgress: Equatable, Sendable {
    public var taken: Int
    public var given: Int

    public init(taken: Int, given: Int) {
        self.taken = taken
        self.given = given
    }
}

/// Why a transport cannot go on: its peer broke the rules. What it still wants to write is written once, then the connection closes.
public struct TransportFailure: Error, Equatable {
    public var why: String

    public init(_ why: String) { self.why = why }
}

/// A connection's transport, and what the loop keeps for it.
final class TransportLayer {
    /// nil once the bytes are the socket's own.
    var transport: (any Transport)?
    var remoteAddress: PeerAddress?
    /// Boxed, since few clients have one.
    private var shown: Shown?
    /// Bytes of the wire that the transport has not been given: only while a read of the connection is handed on, and the loop's.
    var untaken = Bytes(start: nil, count: 0)
    /// Bytes of the wire that the kernel has not taken.
    var unsent = UnsentBytes()
    /// The handler has not heard of the connection.
    var isOpening = true
    /// The transport was told that all is written.
    var isFinished = false
    /// The loop's clock when it began, in seconds; later by the time that it waited for the loop.
    private var since: UInt32
    /// The loop's clock when it began to wait for its turn to work, in seconds; nil where it does not.
    private(set) var worksSince: UInt32?

    init(_ transport: any Transport, since: UInt32) {
        self.transport = transport
        self.since = since
    }

    private final class Shown {
        let certificate: ClientCertificate

        init(_ certificate: ClientCertificate) { self.certificate = certificate }
    }

    var clientCertificate: ClientCertificate? {
        get { shown?.certificate }
        set { shown = newValue.map(Shown.init) }
    }

    /// It has had a turn.
    private(set) var hasWorked = false

    func awaitsWork(at seconds: UInt32) { worksSince = seconds }

    func works(at seconds: UInt32) {
        hasWorked = true
        if let worksSince { since += seconds - worksSince }
        worksSince = nil
    }

    /// What it has been waiting for longer than it may, and how long that is in seconds; nil where nothing is late.
    func late(at seconds: UInt32, patience: Int) -> (what: String, seconds: Int)? {
        guard isOpening, worksSince == nil, let transport, case .opening(let what) = transport.phase else { return nil }
        let patience = transport.openingSeconds ?? patience
        return seconds - since > UInt32(clamping: patience) ? (what, patience) : nil
    }
}

/// Bytes of the wire that wait for the kernel: a block of the loop's pool, only while there are some.
struct UnsentBytes {
    private var block: UnsafeMutableRawPointer?
    private var capacity = 0
    private var head = 0
    private var tail = 0

    var isEmpty: Bool { block == nil }
    var bytes: Bytes { Bytes(start: block.map { UnsafeRawPointer($0 + head) }, count: tail - head) }

    /// Keeps what was not sent of the bytes that were given last. There is nothing else.
    mutating func keep(_ rest: Bytes, pool: inout BufferPool) {
        guard let start = rest.baseAddress, !rest.isEmpty else { return }
        capacity = BufferPool.blockSize(for: rest.count)
        let taken = pool.take(capacity)
        taken.copyMemory(from: start, byteCount: rest.count)
        (block, head, tail) = (taken, 0, rest.count)
    }

    mutating func sent(_ count: Int, pool: inout BufferPool) {
        head += count
        if head == tail { release(to: &pool) }
    }

    mutating func release(to pool: inout BufferPool) {
        if let block { pool.give(block, capacity) }
        (block, capacity, head, tail) = (nil, 0, 0, 0)
    }
}

/// What a loop has for bytes on their way from and to transports.
final class WireBuffers {
    let incoming = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    let outgoing = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    private static let size = 64 << 10

    deinit {
        incoming.deallocate()
        outgoing.deallocate()
    }
}
