import CLinux
import CUV
import Glibc
import ShuntCore
import Synchronization

/// What an event loop's owner does with its events. Called on the loop's thread alone.
public protocol EventLoopHandler: AnyObject, SendableMetatype {
    func opened(_ connection: Connection)
    /// Bytes have arrived, behind those that were not taken last time.
    /// - Returns: how many were taken; the rest comes again with what follows.
    func received(_ bytes: Bytes, on connection: Connection) -> Int
    /// The connection's out-buffer went above half of its bound, or below a quarter of it, or its client is stuck.
    func pressure(_ pressure: ConsumerPressure, on connection: Connection)
    /// What to do with a frame for a connection whose out-buffer is full.
    func slowConsumerPolicy(of connection: Connection, for frame: Bytes) -> SlowConsumerPolicy
    func closed(_ connection: Connection, reason: CloseReason)
    /// A message that was queued, or was to be, is dropped, since the connection is too slow. Nothing may be sent meanwhile.
    func dropped(_ frame: Bytes, for connection: Connection)
    /// `connect` came to nothing.
    func connectFailed(role: Connection.Role, address: HostPort, why: String)
    /// All that was ready in this turn has been handled; what was sent is written when this returns.
    func turnEnded()
    /// About ten times a second.
    func tick()
}

extension EventLoopHandler {
    public func dropped(_ frame: Bytes, for connection: Connection) {}
    public func slowConsumerPolicy(of connection: Connection, for frame: Bytes) -> SlowConsumerPolicy { .dropNewest }
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

/// What a loop counted. Totals since it started, but for `connections`.
public struct LoopFigures: Equatable, Sendable {
    public var connections = 0
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

    public init() {}
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
    /// Connections whose out-buffer has filled up, and those that have drained since they were last looked at.
    var congested: ContiguousArray<ConnectionID> = []
    /// Connections that are to be read from again at the turn's end.
    var resumable: ContiguousArray<ConnectionID> = []
    /// The handler was told of a connection's pressure since the turn's end.
    var hasNewPressure = false
    private let readBuffer: UnsafeMutableRawBufferPointer
    private let waker: LoopWaker
    private var tickTimer: UnsafeMutablePointer<uv_timer_t>
    private var turnEnd: UnsafeMutablePointer<uv_check_t>
    private var isStopping = false
    /// Measures frames in out-buffers, for `dropOldest`.
    let measure: FrameMeasure

    /// Bytes read at once, and what a loop keeps to read into.
    static let readSize = 128 << 10
    /// Above this a connection is written in the middle of a turn.
    static let flushSize = 128 << 10
    /// Connections with something to write that a turn collects before it writes them.
    static let dirtyCapacity = 4096
    /// Bytes that may wait for a connection, and of a frame that it has begun to send, however full the loop's buffers are.
    static let ownShare = 32 << 10

    init(index: UInt8, limits: ConnectionLimits, measure: @escaping FrameMeasure, waker: LoopWaker) {
        self.index = index
        self.limits = limits
        self.measure = measure
        self.waker = waker
        uv = waker.uv
        readBuffer = .allocate(byteCount: Self.readSize, alignment: 64)
        tickTimer = .allocate(capacity: 1)
        turnEnd = .allocate(capacity: 1)
        updateNow()
        let me = Unmanaged.passUnretained(self).toOpaque()
        uv_timer_init(uv, tickTimer)
        tickTimer.pointee.data = me
        uv_timer_start(tickTimer, { EventLoop.of($0!.pointee.data).ticked() }, 100, 100)
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
            flush(connection)
            close(connection, .byUs(why: "the process ends"))
        }
        uv_timer_stop(tickTimer)
        uv_check_stop(turnEnd)
        uv_close(UnsafeMutableRawPointer(tickTimer).assumingMemoryBound(to: uv_handle_t.self), nil)
        uv_close(UnsafeMutableRawPointer(turnEnd).assumingMemoryBound(to: uv_handle_t.self), nil)
        waker.close()
    }

    private func ticked() {
        updateNow()
        handler.tick()
        // One sixteenth of the table a tick: every connection is looked at within two seconds.
        sweep()
        findStuck()
    }

    private func endTurn() {
        defer { turnBegan = 0 }
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
            } else if connection.state == .draining, seconds > connection.closeAt {
                close(connection, connection.closeReason ?? .byUs(why: "closed"))
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
    /// - Returns: nil, and the socket is closed, at `limits.connections`.
    @discardableResult
    public func adopt(descriptor: Int32, role: Connection.Role) -> Connection? {
        guard !isStopping, figures.connections < limits.connections else {
            figures.errors += 1
            Glibc.close(descriptor)
            return nil
        }
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = Int(free)
        } else {
            slot = slots.count
            slots.append(nil)
            generations.append(0)
        }
        linux_keep_alive(descriptor, UInt32(clamping: limits.peerSeconds))
        let id = ConnectionID(loop: index, slot: UInt32(slot), generation: generations[slot])
        let connection = Connection(id: id, role: role, descriptor: descriptor, loop: self)
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
        figures.accepted += 1
        watch(connection)
        handler.opened(connection)
        return connection
    }

    /// Tells libuv what to wait for.
    func watch(_ connection: Connection) {
        guard connection.state != .closed else { return }
        var events: Int32 = 0
        if connection.state == .open, !connection.isReadingPaused { events |= Int32(UV_READABLE.rawValue) }
        if connection.isWaitingToWrite { events |= Int32(UV_WRITABLE.rawValue) }
        // A draining connection still has to notice that its peer has gone.
        if connection.state == .draining { events |= Int32(UV_DISCONNECT.rawValue) }
        guard events != 0 else {
            uv_poll_stop(connection.poll)
            return
        }
        uv_poll_start(connection.poll, events) { handle, status, events in
            let connection = Unmanaged<Connection>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped)
                .takeUnretainedValue()
            connection.loop.ready(connection, status: status, events: events)
        }
    }

    private func ready(_ connection: Connection, status: Int32, events: Int32) {
        wake()
        if status < 0 {
            return fail(connection, socketError(of: connection) ?? -status)
        }
        if events & Int32(UV_WRITABLE.rawValue) != 0 { flush(connection) }
        if events & Int32(UV_READABLE.rawValue) != 0, connection.state == .open { read(connection) }
        if events & Int32(UV_DISCONNECT.rawValue) != 0, connection.state == .draining {
            close(connection, connection.closeReason ?? .byPeer)
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

    /// Closes once what waits has been written, or after five seconds.
    public func closeAfterWriting(_ connection: Connection, _ reason: CloseReason) {
        guard connection.state == .open else { return }
        connection.state = .draining
        connection.closeReason = reason
        connection.closeAt = seconds + 5
        releasePartial(connection)
        markDirty(connection)
        watch(connection)
    }

    /// Closes at once; what waits is lost.
    public func close(_ connection: Connection, _ reason: CloseReason) {
        guard connection.state != .closed else { return }
        connection.state = .closed
        connection.closeReason = reason
        releasePartial(connection)
        figures.lostAtClose += Int(connection.out.messages)
        connection.out.release(to: &pool)
        let slot = connection.id.slot
        slots[slot] = nil
        generations[slot] &+= 1
        freeSlots.append(UInt32(slot))
        figures.connections -= 1
        uv_poll_stop(connection.poll)
        let handle = UnsafeMutableRawPointer(connection.poll).assumingMemoryBound(to: uv_handle_t.self)
        uv_close(handle) { handle in
            Unmanaged<Connection>.fromOpaque(handle.unsafelyUnwrapped.pointee.data.unsafelyUnwrapped).release()
        }
        // The handler may still ask for its address.
        handler.closed(connection, reason: reason)
        Glibc.close(connection.descriptor)
    }

    // MARK: Reading

    private func read(_ connection: Connection) {
        let space = connection.partial == nil ? readBuffer : roomInPartial(connection)
        guard let space else { return }
        let count = recv(connection.descriptor, space.baseAddress, space.count, 0)
        guard count > 0 else { return readEnded(connection, count) }
        figures.bytesIn += count
        if connection.partial == nil {
            take(Bytes(start: readBuffer.baseAddress, count: count), connection)
        } else {
            connection.partialCount += UInt32(count)
            takePartial(connection)
        }
    }

    private func readEnded(_ connection: Connection, _ count: Int) {
        if count == 0 { return close(connection, .byPeer) }
        let error = errno
        if error == EAGAIN || error == EINTR { return }
        fail(connection, error)
    }

    /// Hands on what was read; the start of a frame that is still to come is kept.
    private func take(_ bytes: Bytes, _ connection: Connection) {
        let taken = handler.received(bytes, on: connection)
        guard connection.state == .open, taken < bytes.count else { return }
        let rest = bytes.count - taken
        let size = BufferPool.blockSize(for: rest)
        guard size <= Self.ownShare || pool.used + size <= limits.buffers else { return closeForMemory(connection) }
        let block = pool.take(size)
        memcpy(block, bytes.baseAddress! + taken, rest)
        connection.partial = block
        connection.partialCount = UInt32(rest)
        connection.partialCapacity = UInt32(size)
        connection.partialSince = seconds
    }

    private func takePartial(_ connection: Connection) {
        guard let block = connection.partial else { return }
        let bytes = Bytes(start: block, count: Int(connection.partialCount))
        let (capacity, since) = (connection.partialCapacity, connection.partialSince)
        // Not the connection's meanwhile: the handler uses these bytes even after it has closed the connection.
        (connection.partial, connection.partialCount, connection.partialCapacity, connection.partialSince) = (nil, 0, 0, 0)
        let taken = handler.received(bytes, on: connection)
        let rest = bytes.count - taken
        guard connection.state == .open, rest > 0 else { return pool.give(block, Int(capacity)) }
        if taken > 0 { memmove(block, block + taken, rest) }
        connection.partial = block
        connection.partialCount = UInt32(rest)
        connection.partialCapacity = capacity
        connection.partialSince = taken > 0 ? seconds : since
        if taken > 0 { shrinkPartial(connection) }
    }

    /// Where the rest of a frame is read to. Grows with what has arrived, never by what a frame announces.
    private func roomInPartial(_ connection: Connection) -> UnsafeMutableRawBufferPointer? {
        guard let block = connection.partial else { return nil }
        let count = Int(connection.partialCount)
        let wanted = BufferPool.blockSize(for: max(count * 2, count + (16 << 10)))
        guard Int(connection.partialCapacity) - count < 8 << 10 else {
            return UnsafeMutableRawBufferPointer(start: block + count, count: Int(connection.partialCapacity) - count)
        }
        guard wanted <= Self.ownShare || pool.used + wanted <= limits.buffers else {
            closeForMemory(connection)
            return nil
        }
        replacePartial(connection, size: wanted)
        return UnsafeMutableRawBufferPointer(start: connection.partial! + count, count: wanted - count)
    }

    private func shrinkPartial(_ connection: Connection) {
        let fitting = BufferPool.blockSize(for: Int(connection.partialCount))
        if fitting * 4 < Int(connection.partialCapacity) { replacePartial(connection, size: fitting) }
    }

    private func replacePartial(_ connection: Connection, size: Int) {
        guard let old = connection.partial else { return }
        let block = pool.take(size)
        memcpy(block, old, Int(connection.partialCount))
        pool.give(old, Int(connection.partialCapacity))
        connection.partial = block
        connection.partialCapacity = UInt32(size)
    }

    private func releasePartial(_ connection: Connection) {
        guard let block = connection.partial else { return }
        pool.give(block, Int(connection.partialCapacity))
        connection.partial = nil
        (connection.partialCount, connection.partialCapacity, connection.partialSince) = (0, 0, 0)
    }

    private func closeForMemory(_ connection: Connection) {
        figures.errors += 1
        close(connection, .byUs(why: "the loop's buffers are full (limit.memory)"))
    }
}
