import ShuntCore
@testable import ShuntReactor
import Testing

@Suite("Out-buffers")
struct OutBufferTests {
    /// Frames of this test: a length, a mark that is odd for messages, and filling.
    static let framing = Framing { FrameExtent(length: Int($0[0]), kind: $0[1] % 2 == 1 ? .message : .answer) }

    private var pool = BufferPool()
    private var buffer = OutBuffer()

    private mutating func add(_ length: UInt8, mark: UInt8) {
        let place = buffer.extend(by: Int(length), pool: &pool)
        if mark % 2 == 1 { buffer.messages += 1 }
        place.storeBytes(of: length, as: UInt8.self)
        for offset in 1..<Int(length) { place.storeBytes(of: mark, toByteOffset: offset, as: UInt8.self) }
    }

    /// The marks of the whole frames that wait, after so many bytes of a frame that is partly written.
    private func marks(after partial: Int = 0) -> [UInt8] {
        var marks: [UInt8] = []
        var at = partial
        while at < buffer.count {
            marks.append(buffer.bytes[at + 1])
            at += Int(buffer.bytes[at])
        }
        return marks
    }

    @Test("Holds a block only while something waits")
    mutating func givesBack() {
        #expect(pool.used == 0)
        for _ in 0..<100 { add(200, mark: 1) }
        #expect(buffer.count == 20_000)
        #expect(pool.used == 32_768)
        _ = buffer.wrote(20_000, framing: Self.framing, pool: &pool)
        #expect(buffer.isEmpty)
        #expect(pool.used == 0)
        pool.releaseAll()
    }

    @Test("Drops the oldest messages first, as many as are needed")
    mutating func dropsOldest() {
        for mark in [1, 3, 5, 7] as [UInt8] { add(10, mark: mark) }
        let dropped = buffer.dropOldest(15, framing: Self.framing, onDrop: { _, _ in })
        #expect(dropped.messages == 2)
        #expect(dropped.bytes == 20)
        #expect(marks() == [5, 7])
        buffer.release(to: &pool)
        pool.releaseAll()
    }

    @Test("Keeps answers, in their order")
    mutating func keepsAnswers() {
        for mark in [2, 1, 4, 3, 5] as [UInt8] { add(10, mark: mark) }
        let dropped = buffer.dropOldest(20, framing: Self.framing, onDrop: { _, _ in })
        #expect(dropped.messages == 2)
        #expect(marks() == [2, 4, 5])
        buffer.release(to: &pool)
        pool.releaseAll()
    }

    @Test("Keeps the messages that may not be dropped, in their order")
    mutating func keepsNeeded() {
        for mark in [1, 3, 5, 7, 9] as [UInt8] { add(10, mark: mark) }
        var gone: [UInt8] = []
        let dropped = buffer.dropOldest(20, framing: Self.framing, mayDrop: { $0[1] != 3 }, onDrop: { frame, _ in gone.append(frame[1]) })
        #expect(dropped.messages == 2)
        #expect(gone == [1, 5])
        #expect(marks() == [3, 7, 9])
        buffer.release(to: &pool)
        pool.releaseAll()
    }

    @Test("Keeps the rest of a frame that is partly written")
    mutating func keepsPartial() {
        for mark in [1, 3, 5] as [UInt8] { add(10, mark: mark) }
        _ = buffer.wrote(4, framing: Self.framing, pool: &pool)
        let dropped = buffer.dropOldest(5, framing: Self.framing, onDrop: { _, _ in })
        #expect(dropped.messages == 1)
        #expect(buffer.count == 16)
        #expect(buffer.bytes[0] == 1, "six bytes of the first frame are left")
        #expect(marks(after: 6) == [5])
        _ = buffer.wrote(6, framing: Self.framing, pool: &pool)
        #expect(marks() == [5])
        buffer.release(to: &pool)
        pool.releaseAll()
    }

    @Test("Counts a message as written with its last byte, and what is left")
    mutating func countsMessages() {
        for mark in [1, 2, 3, 5] as [UInt8] { add(10, mark: mark) }
        let written1 = buffer.wrote(9, framing: Self.framing, pool: &pool)
        #expect(written1 == 0)
        let written2 = buffer.wrote(1, framing: Self.framing, pool: &pool)
        #expect(written2 == 1)
        let written3 = buffer.wrote(15, framing: Self.framing, pool: &pool)
        #expect(written3 == 0, "an answer, and half of a message")
        #expect(buffer.messages == 2)
        let written4 = buffer.wrote(6, framing: Self.framing, pool: &pool)
        #expect(written4 == 1)
        let dropped = buffer.dropOldest(5, framing: Self.framing, onDrop: { _, _ in })
        #expect(dropped.messages == 0, "the only one left is partly written")
        let written5 = buffer.wrote(9, framing: Self.framing, pool: &pool)
        #expect(written5 == 1)
        #expect(buffer.messages == 0 && pool.used == 0)
        pool.releaseAll()
    }

    @Test("Says when there is not enough to drop")
    mutating func notEnough() {
        add(10, mark: 2)
        add(10, mark: 1)
        let dropped = buffer.dropOldest(50, framing: Self.framing, onDrop: { _, _ in })
        #expect(dropped.bytes == 10)
        #expect(marks() == [2])
        buffer.release(to: &pool)
        pool.releaseAll()
    }

    @Test("Any mix of appending, writing and dropping leaves whole frames in order", arguments: 1...30)
    mutating func randomHistory(seed: UInt64) {
        var random = Seeded(state: seed)
        var expected: [UInt8] = []
        var partial = 0
        var mark: UInt8 = 0
        for _ in 0..<300 {
            switch random.next() % 4 {
            case 0, 1:
                mark = mark == 250 ? 1 : mark + 1
                add(UInt8(2 + random.next() % 60), mark: mark)
                expected.append(mark)
            case 2 where !buffer.isEmpty:
                let count = 1 + Int(random.next() % UInt64(buffer.count))
                var left = count
                while left > 0 {
                    if partial > 0 {
                        let step = min(left, partial)
                        partial -= step
                        left -= step
                        continue
                    }
                    let length = Int(buffer.bytes[count - left])
                    expected.removeFirst()
                    partial = length
                }
                let written6 = buffer.wrote(count, framing: Self.framing, pool: &pool)
                #expect(written6 >= 0)
            case 3:
                var dropped = buffer.dropOldest(Int(random.next() % 100), framing: Self.framing, onDrop: { _, _ in }).messages
                expected.removeAll { mark in
                    guard dropped > 0, mark % 2 == 1 else { return false }
                    dropped -= 1
                    return true
                }
            default: break
            }
            #expect(marks(after: partial) == expected)
            let whole = expected.count { $0 % 2 == 1 }
            #expect(Int(buffer.messages) == whole || (partial > 0 && Int(buffer.messages) == whole + 1))
        }
        buffer.release(to: &pool)
        #expect(pool.used == 0)
        pool.releaseAll()
    }
}

private struct Seeded: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 17
    }
}
