import ExchangeCodec
import ShuntCore

/// The frames that the engine makes during one event. Grows to the largest batch and is used again.
public final class MadeBytes {
    private var block: UnsafeMutableRawPointer
    private var capacity: Int
    private var count = 0
    /// Bytes made so far.
    public var size: Int { count }
    private static let smallest = 4 << 10
    /// What is kept between events; more is given back.
    private static let kept = 1 << 20

    init() {
        capacity = Self.smallest
        block = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { block.deallocate() }

    func removeAll() {
        count = 0
        if capacity > Self.kept { reallocate(Self.smallest) }
    }

    /// Appends a frame.
    func append(_ fields: FrameFields) -> Stretch {
        let size = FrameEncoder.size(of: fields)
        let stretch = reserve(size)
        FrameEncoder.write(fields, to: block + Int(stretch.offset))
        return stretch
    }

    /// Appends a frame under another name: the same message for another topic.
    func append(_ frame: FrameView, _ start: UnsafeRawPointer, renamed name: Bytes) -> Stretch {
        let stretch = reserve(FrameEncoder.size(of: frame, renamed: name))
        FrameEncoder.write(frame, start, renamed: name, to: block + Int(stretch.offset))
        return stretch
    }

    /// Takes back what was appended last: nobody gets it.
    func discard(_ stretch: Stretch) {
        if stretch.source == .made, Int(stretch.offset) + Int(stretch.count) == count { count = Int(stretch.offset) }
    }

    /// Appends a frame that is encoded already.
    func append(_ frame: [UInt8]) -> Stretch {
        let stretch = reserve(frame.count)
        frame.withUnsafeBytes { if let start = $0.baseAddress { (block + Int(stretch.offset)).copyMemory(from: start, byteCount: $0.count) } }
        return stretch
    }

    public func withBytes<Result>(_ body: (Bytes) -> Result) -> Result { body(Bytes(start: block, count: count)) }

    private func reserve(_ size: Int) -> Stretch {
        if count + size > capacity { reallocate(max(capacity * 2, count + size)) }
        defer { count += size }
        return Stretch(.made, offset: count, count: size)
    }

    private func reallocate(_ size: Int) {
        let other = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
        other.copyMemory(from: block, byteCount: min(count, size))
        block.deallocate()
        block = other
        capacity = size
    }
}
