import ShuntCore

/// The bytes unpacked so far. It grows by doubling, to one byte beyond the limit at most, so that one byte too many is seen.
struct InflatedBuffer {
    private var storage: [UInt8]
    private(set) var count = 0
    private let limit: Int
    let check: () throws(ShuntError) -> Void
    /// The most room that is given at once.
    private static let piece = 65_536

    /// - Parameters:
    ///   - limit: 2 GiB at the most.
    ///   - packedSize: the size of the packed value; the first room is guessed from it.
    ///   - check: called before each piece.
    init(limit: Int, packedSize: Int, check: @escaping () throws(ShuntError) -> Void) {
        self.check = check
        self.limit = min(max(limit, 0), Int(Int32.max))
        storage = [UInt8](repeating: 0, count: min(self.limit + 1, max(256, packedSize * 2)))
    }

    /// Lets a decompressor write into the free room.
    /// - Parameter write: gets at least one byte of room, returns how many bytes it has written.
    mutating func withRoom(atLeast wanted: Int = 1, _ write: (UnsafeMutableRawBufferPointer) -> Int) throws(ShuntError) {
        try check()
        if storage.count - count < wanted { grow(by: wanted) }
        let room = count..<min(storage.count, count + max(wanted, Self.piece))
        count += storage.withUnsafeMutableBytes { write(UnsafeMutableRawBufferPointer(rebasing: $0[room])) }
        try checkLimit()
    }

    mutating func append(_ bytes: Bytes) throws(ShuntError) {
        guard count + bytes.count <= limit else { throw overLimit }
        try withRoom(atLeast: bytes.count) { room in
            room.copyMemory(from: bytes)
            return bytes.count
        }
    }

    /// Refuses a size that would not fit, before there is room for it.
    func checkRoom(for size: Int) throws(ShuntError) {
        guard size <= limit - count else { throw overLimit }
    }

    consuming func finish() -> [UInt8] {
        storage.removeLast(storage.count - count)
        return storage
    }

    private mutating func grow(by wanted: Int) {
        let size = max(min(storage.count * 2, limit + 1), count + wanted)
        storage.append(contentsOf: repeatElement(0, count: size - storage.count))
    }

    private func checkLimit() throws(ShuntError) {
        guard count <= limit else { throw overLimit }
    }

    private var overLimit: ShuntError {
        ShuntError(.memoryLimit, "the value unpacks to more than \(limit) bytes", help: "send less, or raise limits.inflated")
    }
}
