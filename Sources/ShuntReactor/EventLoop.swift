import CLinux
import CUV
import Glibc
import ShuntCore
import Synchronization

// Unsafe: libuv's handles are C structs. The `data` of each is an uncounted reference to its owner, which lives until the handle is closed.

/// What an event loop's owner does with its events. Called on the loop's thread alone.
public protocol EventLoopHandler: AnyObject, SendableMetatype {
    /// A connection is there: at once, or when its transport is open.
    func opened(_ connection: Connection)
    /// Bytes have arrived, behind those that were not taken last time.
    /// - Returns: how many were taken; the rest comes again with what follows.
    func received(_ bytes: Bytes, on connection: Connection) -> Int
    /// The connection's out-buffer went above half of its bound, or below a quarter of it, or its client is stuck.
    func pressure(_ pressure: ConsumerPressure, on connection: Connection)
    /// What to do with a frame of this kind for a connection whose out-buffer is full.
    func slowConsumerPolicy(of connection: Connection, for kind: FrameKind) -> SlowConsumerPolicy
    /// How the bytes for connections of this role divide into frames. The same for as long as the loop runs.
    func framing(of role: Connection.Role) -> Framing
    /// What is to stand between a new connection's socket and its frames; nil where these are the socket's own bytes.
    func transport(for connection: Connection) -> (any Transport)?
    /// A connection that was adopted is over, whether it was opened or not.
    func closed(_ connection: Connection, reason: CloseReason)
    /// Whether a message that stands in the connection's queue may be dropped for a newer one, as far as those behind it go.
    func mayDrop(_ frame: Bytes, for connection: Connection) -> Bool
    /// A message is dropped, since the connection is too slow. Nothing may be sent meanwhile.
    /// - Parameter rest: what waits behind it.
    func dropped(_ frame: Bytes, before rest: Bytes, for connection: Connection)
    /// `connect` came to nothing.
    func connectFailed(role: Connection.Role, address: HostPort, why: String)
    /// All that was ready in this turn has been handled; the loop writes all that is queued when this returns.
    func turnEnded()
    /// About ten times a second.
    func tick()
}

extension EventLoopHandler {
    public func mayDrop(_ frame: Bytes, for connection: Connection) -> Bool { true }
    public func dropped(_ frame: Bytes, before rest: Bytes, for connection: Connection) {}
    public func slowConsumerPolicy(of connection: Connection, for kind: FrameKind) -> SlowConsumerPolicy { .dropNewest }
    public func transport(for connection: Connection) -> (any Transport)? { nil }
}

/// Bounds of a loop's connections.
public struct ConnectionLimits: Equatable, Sendable {
    /// Bytes that may wait for one connection.
    public var outBuffer: Int
    /// Bytes of all buffers of the loop together.
    public var buffers: Int
    /// A frame must be complete within so many seconds of its first byte.
    public var frameSeconds: Int
    public var connections: Int
    /// A connection whose peer's machine has not answered for so many seconds is closed; 0: the system decides.
    public var peerSeconds: Int
    /// A congested connection whose client takes less than a quarter of `outBuffer` in so many milliseconds is stuck.
    public var slowPatience: Int
    /// What happens to messages for a stuck connection whose out-buffer is full.
    public var stuckConsumer: SlowConsumerPolicy

    public init(
        outBuffer: Int = 8 << 20, buffers: Int = 1 << 30, frameSeconds: Int = 60, connections: Int = 1_000_000,
        peerSeconds: Int = 20, slowPatience: Int = 5000, stuckConsumer: StuckConsumerPolicy = .dropNewest
    ) {
        self.outBuffer = outBuffer
        self.buffers = buffers
        self.frameSeconds = frameSeconds
        self.connections = connections
        self.peerSeconds = peerSeconds
        self.slowPatience = slowPatience
        self.stuckConsumer = stuckConsumer.asSlow
    }
}

/// What a loop counted. Totals since it started, except `connections`.
public struct LoopFigures: Equatable, Sendable {
    public var connections = 0
    /// Connections by listener, by the numbers in their roles; those that are over count no longer.
    public var byListener: [Int] = []
    /// Connections among these that are over, and whose peer is still to take what was written.
    public var lingering = 0
    public var accepted = 0
    public var errors = 0
    public var bytesIn = 0
    public var bytesOut = 0
    /// Messages written whole to the kernel, and messages that still waited when their connection closed.
    public var delivered = 0
    public var lostAtClose = 0
    /// Messages dropped because their connection was too slow, and connections closed for that.
    public var droppedSlow = 0
    public var closedSlow = 0
    /// Connections closed because their peer's machine did not answer any longer.
    public var vanished = 0
    /// How much later than due the loop's ticks were: so long was what came for it kept waiting.
    public var lag = TimeHistogram()

    public init() {}

    /// A connection has come, or is over.
    mutating func count(_ role: Connection.Role, _ change: Int) {
        guard case .accepted(let listener) = role else { return }
        if byListener.count <= listener { byListener += Array(repeating: 0, count: Int(listener) + 1 - byListener.count) }
        byListener[Int(listener)] += change
    }
}

/// One thread with its connections and timers, on libuv.
///
/// Everything is called on its thread, from its handler; other threads use `LoopThread.post`.
public final class EventLoop {
    public let index: UInt8
    public internal(set) var limits: ConnectionLimits
    public internal(set) var figures = LoopFigures()
    /// Seconds since 1970, read once a turn.
    public private(set) var now: Double = 0

    /// Set before the loop runs; the thread keeps it alive while it does.
    unowned(unsafe) var handler: (any EventLoopHandler)!
    let uv: UnsafeMutablePointer<uv_loop_t>
    var pool = BufferPool()
    /// The connections by slot, uncounted: libuv's handle keeps each until it is closed.
    var slots: ContiguousArray<Unmanaged<Connection>?> = []
    var generations: ContiguousArray<UInt32> = []
    var freeSlots: ContiguousArray<UInt32> = []
    var dirty: ContiguousArray<Unmanaged<Connection>> = []
    var acceptors: [Acceptor] = []
    /// Connections that are to close after writing.
    var endings: [ConnectionID: Ending] = [:]
    /// Connections whose transports wait for their turn to work.
    var works = WorkQueue()
    /// Connections whose out-buffer has filled up, and those that have drained since they were last looked at.
    var congested: ContiguousArray<ConnectionID> = []
    /// Connections that are to be read from again at the turn's end.
    var resumable: ContiguousArray<ConnectionID> = []
    /// The handler was told of a connection's pressure since the turn's end.
    var hasNewPressure = false
    let readBuffer: UnsafeMutableRawBufferPointer
    private let waker: LoopWaker
    private var tickTimer: UnsafeMutablePointer<uv_timer_t>
    private var turnEnd: UnsafeMutablePointer<uv_check_t>
    private(set) var isStopping = false

    /// Bytes of the wire on their way from and to transports; taken once there is one.
    private(set) lazy var wire = WireBuffers()

    /// Bytes read at once, and what a loop keeps to read into.
    static let readSize = 128 << 10
    /// Above this a connection is written in the middle of a turn.
    static let flushSize = 128 << 10
    /// Connections with something to write that a turn collects before it writes them.
    static let dirtyCapacity = 4096
    /// Bytes that may wait for a connection, and of a frame that it has begun to send, however full the loop's buffers are.
    static let ownShare = 32 << 10

    init(index: UInt8, limits: ConnectionLimits, waker: LoopWaker) {
        self.index = index
        self.limits = limits
        self.waker = waker
        uv = waker.uv
        readBuffer = .allocate(byteCount: Self.readSize, alignment: 64)
        tickTimer = .allocate(capacity: 1)
        turnEnd = .allocate(capacity: 1)
        updateNow()
        let me = Unmanaged.passUnretained(self).toOpaque()
        uv.pointee.data = me
        uv_timer_init(uv, tickTimer)
        tickTimer.pointee.data = me
        uv_timer_start(tickTimer, { EventLoop.of($0!.pointee.data).ticked() }, Self.tickMilliseconds, Self.tickMilliseconds)
        uv_check_init(uv, turnEnd)
        turnEnd.pointee.data = me
        uv_check_start(turnEnd) { EventLoop.of($0!.pointee.data).endTurn() }
    }

    deinit {
        readBuffer.deallocate()
        tickTimer.deallocate()
        turnEnd.deallocate()
    }

    private static func of(_ data: UnsafeMutableRawPointer?) -> EventLoop {
        Unmanaged<EventLoop>.fromOpaque(data.unsafelyUnwrapped).takeUnretainedValue()
    }

    func updateNow() {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        now = Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// Something has come: a turn begins, unless it has begun.
    func wake() {
        updateNow()
        if turnBegan == 0 { turnBegan = now }
    }

    /// Another turn follows this one at once, after what else has come.
    public func wakeAgain() { _ = waker.wake() }

    /// When the present turn began; 0 between two.
    private var turnBegan = 0.0

    /// Seconds since the present turn began. Reads the clock; a clock that was set makes no long turn.
    public func turnDuration() -> Double {
        guard turnBegan > 0 else { return 0 }
        updateNow()
        return min(max(now - turnBegan, 0), 10)
    }

    /// The loop's own clock in seconds, which never goes back. Starts at 1.
    var seconds: UInt32 { UInt32(truncatingIfNeeded: (uv_now(uv) - startedAt) / 1000) + 1 }
    private lazy var startedAt = uv_now(uv)

    public func setLimits(_ new: ConnectionLimits) { limits = new }

    // MARK: Running

    func run() {
        _ = startedAt
        uv_run(uv, UV_RUN_DEFAULT)
        pool.releaseAll()
    }

    /// Closes every connection and listener and ends the loop once they are gone. What waits is written as far as it goes at once.
    public func shutDown() {
        guard !isStopping else { return }
        isStopping = true
        for acceptor in acceptors { acceptor.close() }
        acceptors = []
        for case let held? in slots {
            let connection = held.takeUnretainedValue()
            // A transport takes leave of its peer.
            if connection.layer != nil, connection.state == .open { beginDraining(connection, .processEnds) }
            flush(connection)
            close(connection, .processEnds)
        }
        uv_timer_stop(tickTimer)
        uv_check_stop(turnEnd)
        uv_close(UnsafeMutableRawPointer(tickTimer).assumingMemoryBound(to: uv_handle_t.self), nil)
        uv_close(UnsafeMutableRawPointer(turnEnd).assumingMemoryBound(to: uv_handle_t.self), nil)
        waker.close()
    }

    /// When the last tick was, in nanoseconds of a clock that never goes back; 0 before the first.
    private var tickedAt: UInt64 = 0
    static let tickMilliseconds: UInt64 = 100

    private func ticked() {
        updateNow()
        let at = uv_hrtime()
        if tickedAt > 0 { figures.lag.add((Double(at - tickedAt) - Double(Self.tickMilliseconds) * 1e6) / 1e9) }
        tickedAt = at
        handler.tick()
        // One sixteenth of the table a tick: every connection is looked at within two seconds.
        sweep()
        findStuck()
    }

    private func endTurn() {
        defer { turnBegan = 0 }
        if works.hasSome { workInTurn() }
        // What writing changes other loops hear of now, not when something else happens here.
        for _ in 0..<Self.passesOfTurnEnd {
            hasNewPressure = false
            resumeReading()
            handler.turnEnded()
            flushDirty()
            if !hasNewPressure { break }
        }
    }

    /// So that connections which drain and fill at once do not keep a turn from ending.
    private static let passesOfTurnEnd = 4

    /// Every open connection. None may be closed meanwhile.
    public func forEachConnection(_ body: (Connection) -> Void) {
        for case let held? in slots { body(held.takeUnretainedValue()) }
    }

    private var sweepPosition = 0

    /// Closes connections whose frame takes too long, and drained ones whose peer does not read.
    private func sweep() {
        let count = slots.count
        guard count > 0 else { return }
        let seconds = self.seconds
        for _ in 0..<min(count, count / 16 + 64) {
            sweepPosition = sweepPosition + 1 < count ? sweepPosition + 1 : 0
            guard let connection = slots[sweepPosition]?.takeUnretainedValue() else { continue }
            if connection.partialSince != 0, !connection.isReadingPaused, seconds - connection.partialSince > UInt32(limits.frameSeconds) {
                figures.errors += 1
                close(connection, .byUs(why: "a frame was not complete within \(limits.frameSeconds) s (frame.timeout)"))
            } else if connection.state == .draining, seconds > endings[connection.id]?.at ?? 0 {
                if !isTaking(connection) { closeDrained(connection) }
            } else if let late = connection.layer?.late(at: seconds, patience: limits.frameSeconds) {
                figures.errors += 1
                close(connection, .byUs(why: "\(late.what) was not complete within \(late.seconds) s (frame.timeout)"))
            } else if connection.unacknowledgedSince != 0 {
                checkAcknowledgements(connection)
            }
        }
    }

    // MARK: Connections

    /// The connection with this id, unless it has gone.
    @inline(__always)
    public func connection(_ id: ConnectionID) -> Connection? {
        let slot = id.slot
        guard slot < slots.count, generations[slot] == id.generation else { return nil }
        return slots[slot]?.takeUnretainedValue()
    }

    /// Runs with the connection of this id, without counting the reference.
    /// - Returns: false if the connection has gone.
    @inline(__always)
    public func with(_ id: ConnectionID, _ body: (Connection) -> Void) -> Bool {
        let slot = id.slot
        guard slot < slots.count, generations[slot] == id.generation, let held = slots[slot] else { return false }
        held._withUnsafeGuaranteedRef { body($0) }
        return true
    }

    /// Takes over a connected socket.
    /// - Parameter isBeyondLimit: its handler only tells it to go elsewhere.
    /// - Returns: nil, and the socket is closed, at `limits.connections`.
    @discardableResult
    public func adopt(descriptor: Int32, role: Connection.Role, isBeyondLimit: Bool = false) -> Connection? {
        guard !isStopping, isBeyondLimit || figures.connections < limits.connections else {
            figures.errors += 1
            Glibc.close(descriptor)
            return nil
        }
        linux_keep_alive(descriptor, UInt32(clamping: limits.peerSeconds))
        guard let connection = enter(descriptor: descriptor, role: role) else { return nil }
        figures.accepted += 1
        open(connection)
        return connection
    }

    /// Makes a connection of a socket, which is closed where that fails.
    func enter(descriptor: Int32, role: Connection.Role) -> Connection? {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = Int(free)
        } else {
            slot = slots.count
            slots.append(nil)
            generations.append(0)
        }
        let id = ConnectionID(loop: index, slot: UInt32(slot), generation: generations[slot])
        let connection = Connection(id: id, role: role, descriptor: descriptor)
        guard uv_poll_init(uv, connection.poll, descriptor) == 0 else {
            freeSlots.append(UInt32(slot))
            figures.errors += 1
            Glibc.close(descriptor)
            return nil
        }
        let held = Unmanaged.passRetained(connection)
        slots[slot] = held
        connection.poll.pointee.data = held.toOpaque()
        figures.connections += 1
        figures.count(role, 1)
        watch(connection)
        return connection
    }

    /// Tells libuv what to wait for.
    func watch(_ connection: Connection) {
        guard connection.state != .closed else { return }
        var events: Int32 = 0
        if connection.state == .open ? !connection.isReadingPaused : connection.lingers { events |= Int32(UV_READABLE.rawValue) }
        if connection.isWaitingToWrite { events |= Int32(UV_WRITABLE.rawValue) }
        // A draining connection still has to notice that its peer has gone.
        if connection.state == .draining, !connection.lingers { events |= Int32(UV_DISCONNECT.rawValue) }
        guard events != 0 else {
            uv_poll_stop(connection.poll)
            return
        }
        uv_poll_start(connection.poll, events) { handle, status, events in
            let connection = Unmanaged<Connection>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped)
                .takeUnretainedValue()
            EventLoop.of(handle.unsafelyUnwrapped.pointee.loop.pointee.data).ready(connection, status: status, events: events)
        }
    }

    private func ready(_ connection: Connection, status: Int32, events: Int32) {
        wake()
        if status < 0 {
            return fail(connection, socketError(of: connection) ?? -status)
        }
        if events & Int32(UV_WRITABLE.rawValue) != 0 { flush(connection) }
        if events & Int32(UV_READABLE.rawValue) != 0 {
            if connection.state == .open { read(connection) } else if connection.lingers { discard(connection) }
        }
        if events & Int32(UV_DISCONNECT.rawValue) != 0, connection.state == .draining {
            closeDrained(connection)
        }
    }

    /// Stops or resumes reading: a producer that is faster than what comes after it waits in its own kernel. What has been read and not
    /// taken comes again when it is resumed.
    public func setReadingPaused(_ isPaused: Bool, _ reason: PauseReasons, _ connection: Connection) {
        let before = connection.isReadingPaused
        if isPaused { connection.pauses.insert(reason) } else { connection.pauses.remove(reason) }
        guard connection.isReadingPaused != before else { return }
        watch(connection)
        guard !isPaused, connection.partial != nil else { return }
        // The time that it was kept waiting does not count.
        connection.partialSince = seconds
        takePartial(connection)
    }
}
