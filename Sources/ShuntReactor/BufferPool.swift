/// Blocks of memory for a loop's buffers, in powers of two from 1 KiB. Freed blocks up to 256 KiB are kept for the next
/// user, a few of each size: a connection holds a block only while something waits in it.
struct BufferPool {
    static let smallest = 1 << 10
    private static let kept = 1 << 18
    private static let keptBytesPerSize = 4 << 20

    private var free: [[UnsafeMutableRawPointer]] = Array(repeating: [], count: 9)
    /// Bytes of the blocks that are in use.
    private(set) var used = 0

    static func blockSize(for count: Int) -> Int {
        var size = smallest
        while size < count { size <<= 1 }
        return size
    }

    /// What a buffer begins with that held `usual` bytes last time: no more than is free anyway.
    func startingSize(usual: Int) -> Int {
        guard usual > Self.smallest, usual <= Self.kept, !free[Self.place(of: usual)].isEmpty else { return 0 }
        return usual
    }

    mutating func take(_ size: Int) -> UnsafeMutableRawPointer {
        used += size
        if size <= Self.kept, let block = free[Self.place(of: size)].popLast() { return block }
        return .allocate(byteCount: size, alignment: 16)
    }

    mutating func give(_ block: UnsafeMutableRawPointer, _ size: Int) {
        used -= size
        let place = Self.place(of: size)
        if size <= Self.kept, free[place].count < Self.keptBytesPerSize / size {
            free[place].append(block)
        } else {
            block.deallocate()
        }
    }

    mutating func releaseAll() {
        for place in free.indices {
            for block in free[place] { block.deallocate() }
            free[place] = []
        }
    }

    private static func place(of size: Int) -> Int { size.trailingZeroBitCount - smallest.trailingZeroBitCount }
}
