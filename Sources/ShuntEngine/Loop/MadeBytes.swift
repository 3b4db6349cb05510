import ShuntCore

/// The bytes that the engine makes during one event. They stay where they are until `removeAll`, so that messages may point into them.
public final class MadeBytes {
    /// One at least; the last one is being filled.
    private var blocks: ContiguousArray<UnsafeMutableRawPointer>
    private var capacity = smallest
    /// Bytes of the last block that are in use.
    private var used = 0
    /// Bytes made so far.
    public private(set) var size = 0

    private static let smallest = 4 << 10
    /// What is kept from one event to the next; more is given back.
    private static let kept = 1 << 20
    /// Blocks that a `Stretch` can name.
    private static let mostBlocks = Int(UInt16.max)

    init() { blocks = [.allocate(byteCount: Self.smallest, alignment: 16)] }

    deinit { for block in blocks { block.deallocate() } }

    /// Forgets all. The next event gets one block for as much as this one has made, within what is kept.
    @inline(__always)
    func removeAll() {
        if blocks.count > 1 || capacity > Self.kept { replaceBlocks() }
        (used, size) = (0, 0)
    }

    @inline(never)
    private func replaceBlocks() {
        for block in blocks { block.deallocate() }
        capacity = Self.smallest
        if size <= Self.kept { while capacity < size { capacity *= 2 } }
        blocks = [.allocate(byteCount: capacity, alignment: 16)]
    }

    /// Room for `count` bytes more, which the caller fills.
    @inline(__always)
    func reserve(_ count: Int, _ form: WireForm) -> Stretch {
        if used + count > capacity { addBlock(count) }
        defer {
            used += count
            size += count
        }
        return Stretch(.made, form, block: blocks.count - 1, offset: used, count: count)
    }

    @inline(never)
    private func addBlock(_ count: Int) {
        precondition(blocks.count < Self.mostBlocks, "an event makes too much")
        capacity = max(min(capacity * 2, Self.kept), count)
        used = 0
        blocks.append(.allocate(byteCount: capacity, alignment: 16))
    }

    /// Where a stretch of these bytes begins.
    @inline(__always)
    func start(of stretch: Stretch) -> UnsafeMutableRawPointer { blocks[stretch.block] + stretch.offset }

    @inline(__always)
    public func bytes(of stretch: Stretch) -> Bytes { Bytes(start: start(of: stretch), count: Int(stretch.count)) }

    /// Appends bytes that are encoded already.
    func append(_ bytes: [UInt8], _ form: WireForm) -> Stretch { bytes.withUnsafeBytes { append($0, form) } }

    func append(_ bytes: Bytes, _ form: WireForm) -> Stretch {
        let stretch = reserve(bytes.count, form)
        if let source = bytes.baseAddress { start(of: stretch).copyMemory(from: source, byteCount: bytes.count) }
        return stretch
    }
}
