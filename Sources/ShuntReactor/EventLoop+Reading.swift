import Glibc
import ShuntCore

// Unsafe: libuv's handles are C structs. The `data` of each is an uncounted reference to its owner, which lives until the handle is closed.

/// Reading: into the loop's one buffer; a connection has a block of its own only while a frame of it is incomplete.
extension EventLoop {
    /// Reads once, and hands on what has come.
    func read(_ connection: Connection) {
        if let layer = connection.layer, layer.transport != nil { return readThrough(connection, layer) }
        guard let space = roomForPlain(connection) else { return }
        let count = recv(connection.descriptor, space.baseAddress, space.count, 0)
        guard count > 0 else { return readEnded(connection, count) }
        figures.bytesIn += count
        came(count, connection)
    }

    /// Where bytes for the handler go: into the loop's buffer, or behind those of a frame that has begun.
    func roomForPlain(_ connection: Connection) -> UnsafeMutableRawBufferPointer? {
        connection.partial == nil ? readBuffer : roomInPartial(connection)
    }

    /// So many bytes stand in the room for them.
    @inline(__always)
    func came(_ count: Int, _ connection: Connection) {
        if connection.partial == nil {
            take(Bytes(start: readBuffer.baseAddress, count: count), connection)
        } else {
            connection.partialCount += UInt32(count)
            takePartial(connection)
        }
    }

    /// Closes a connection whose peer has ended it, with nothing left to be read.
    /// - Returns: whether it did.
    public func closeIfEnded(_ connection: Connection) -> Bool {
        guard connection.state == .open, connection.partial == nil, connection.layer?.untaken.isEmpty ?? true else { return false }
        var byte: UInt8 = 0
        let count = recv(connection.descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        guard count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) else { return false }
        readEnded(connection, count)
        return true
    }

    /// Throws away what a peer sends to a connection that is closed once the peer has taken what was written.
    func discard(_ connection: Connection) {
        let count = recv(connection.descriptor, readBuffer.baseAddress, readBuffer.count, 0)
        if count > 0 { return }
        if count < 0, errno == EAGAIN || errno == EINTR { return }
        closeDrained(connection)
    }

    func readEnded(_ connection: Connection, _ count: Int) {
        if count == 0 { return close(connection, .byPeer) }
        let error = errno
        if error == EAGAIN || error == EINTR { return }
        fail(connection, error)
    }

    /// Hands on the first bytes of a connection, which another loop has read.
    func begin(_ bytes: Bytes, _ connection: Connection) { take(bytes, connection) }

    /// Hands on what was read; the start of a frame that is still to come is kept.
    private func take(_ bytes: Bytes, _ connection: Connection) {
        // A transport may still give after the handler has had enough.
        let taken = connection.isReadingPaused ? 0 : handler.received(bytes, on: connection)
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

    func takePartial(_ connection: Connection) {
        guard let block = connection.partial, !connection.isReadingPaused else { return }
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
    func roomInPartial(_ connection: Connection) -> UnsafeMutableRawBufferPointer? {
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

    func releasePartial(_ connection: Connection) {
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
