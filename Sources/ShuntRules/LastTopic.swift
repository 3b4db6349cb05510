import Glibc
import ShuntCore

/// A short topic, kept to know the same one again, in memory of its own: an array's would be counted at each look.
struct LastTopic {
    /// Longer topics are not kept.
    private static let capacity = 256
    private let bytes = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 1)
    /// nil while no topic is kept.
    private var count: Int?

    @inline(__always)
    func holds(_ topic: Bytes) -> Bool {
        guard topic.count == count, let start = topic.baseAddress else { return false }
        return memcmp(bytes, start, topic.count) == 0
    }

    mutating func keep(_ topic: Bytes) {
        count = nil
        guard topic.count <= Self.capacity, let start = topic.baseAddress else { return }
        bytes.copyMemory(from: start, byteCount: topic.count)
        count = topic.count
    }

    mutating func forget() { count = nil }

    func deallocate() { bytes.deallocate() }
}
