import Glibc
import ShuntCore

// Unsafe: there is a block wherever bytes wait or were asked for.

/// What waits to be written to one connection: whole frames, except that the first may be partly written.
///
/// Holds a block of the loop's pool only while something waits.
struct OutBuffer {
    private var block: UnsafeMutableRawPointer?
    private var capacity: UInt32 = 0
    private var head: UInt32 = 0
    private var tail: UInt32 = 0
    /// Bytes at the head that are the rest of a frame that is partly written.
    private var partial: UInt32 = 0
    /// Messages among the frames, the partly written one included. The caller that queues one adds it.
    var messages: UInt32 = 0
    private var isPartialMessage = false
    /// The size of the block that would have done last time, as a power of two: the next one begins with it, and need not be copied as it
    /// grows.
    private var usualSize: UInt8 = 0

    var count: Int { Int(tail - head) }
    var isEmpty: Bool { tail == head }
    var bytes: Bytes { Bytes(start: block.map { UnsafeRawPointer($0 + Int(head)) }, count: count) }

    /// Bytes that the pool must give for `count` more bytes to wait.
    @inline(__always)
    func growth(for count: Int) -> Int {
        if Int(capacity) - Int(tail) >= count || self.count + count <= Int(capacity) { return 0 }
        return blockSize(for: count) - Int(capacity)
    }

    private func blockSize(for count: Int) -> Int { BufferPool.blockSize(for: max(self.count + count, Int(capacity) * 2)) }

    /// Room for `count` more bytes at the end, to be filled by the caller. The caller has kept to the limit.
    @inline(__always)
    mutating func extend(by count: Int, pool: inout BufferPool) -> UnsafeMutableRawPointer {
        if Int(capacity) - Int(tail) < count { makeRoom(for: count, pool: &pool) }
        let place = block.unsafelyUnwrapped + Int(tail)
        tail += UInt32(count)
        return place
    }

    @inline(never)
    private mutating func makeRoom(for count: Int, pool: inout BufferPool) {
        let waiting = self.count
        if let block, waiting + count <= Int(capacity) {
            memmove(block, block + Int(head), waiting)
        } else {
            let size = block == nil ? max(blockSize(for: count), pool.startingSize(usual: 1 << Int(usualSize))) : blockSize(for: count)
            let larger = pool.take(size)
            if let block {
                memcpy(larger, block + Int(head), waiting)
                pool.give(block, Int(capacity))
            }
            block = larger
            capacity = UInt32(size)
        }
        head = 0
        tail = UInt32(waiting)
    }

    /// `count` bytes have been written.
    /// - Parameter framing: asked for only where something is left.
    /// - Returns: how many messages were completed by that.
    mutating func wrote(_ count: Int, framing: @autoclosure () -> Framing, pool: inout BufferPool) -> Int {
        if count == self.count {
            defer { release(to: &pool) }
            return Int(messages)
        }
        let before = messages
        let framing = framing()
        var boundary = Int(partial)
        while boundary < count {
            completePartial()
            let frame = framing.measure(Bytes(rebasing: bytes[boundary...]))
            boundary += frame.length
            isPartialMessage = frame.kind.isMessage
        }
        if boundary == count { completePartial() }
        partial = UInt32(boundary - count)
        head += UInt32(count)
        return Int(before - messages)
    }

    private mutating func completePartial() {
        if isPartialMessage, messages > 0 { messages -= 1 }
        isPartialMessage = false
    }

    /// Drops the oldest messages that no byte of has been written, until `needed` bytes are free or none is left.
    /// - Parameters:
    ///   - mayDrop: is asked about each of them; one that others build on stays.
    ///   - onDrop: is given each of them before it goes, and what waits behind it.
    /// - Returns: how many messages were dropped, and their bytes.
    mutating func dropOldest(
        _ needed: Int, framing: Framing, mayDrop: (Bytes) -> Bool = { _ in true }, onDrop: (Bytes, Bytes) -> Void
    ) -> (messages: Int, bytes: Int) {
        guard let block else { return (0, 0) }
        var read = Int(head) + Int(partial)
        var freed = 0
        var dropped = 0
        var kept: [(offset: Int, length: Int)] = []
        while freed < needed, read < Int(tail) {
            let frame = framing.measure(Bytes(start: block + read, count: Int(tail) - read))
            let bytes = Bytes(start: block + read, count: frame.length)
            if frame.kind.mayDrop, mayDrop(bytes) {
                freed += frame.length
                dropped += 1
                onDrop(bytes, Bytes(start: block + read + frame.length, count: Int(tail) - read - frame.length))
            } else {
                kept.append((read, frame.length))
            }
            read += frame.length
        }
        // What stays of the part that was looked at moves up against what was not; the rest stays where it is.
        var write = read
        for frame in kept.reversed() {
            write -= frame.length
            memmove(block + write, block + frame.offset, frame.length)
        }
        write -= Int(partial)
        memmove(block + write, block + Int(head), Int(partial))
        head = UInt32(write)
        messages -= min(messages, UInt32(dropped))
        return (dropped, freed)
    }

    /// Gives the block back; whatever waited is gone.
    mutating func release(to pool: inout BufferPool) {
        if let block {
            pool.give(block, Int(capacity))
            usualSize = UInt8(truncatingIfNeeded: BufferPool.blockSize(for: Int(tail)).trailingZeroBitCount)
        }
        block = nil
        (capacity, head, tail, partial, messages, isPartialMessage) = (0, 0, 0, 0, 0, false)
    }
}
