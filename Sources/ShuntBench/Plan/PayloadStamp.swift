import ShuntCore

/// How a payload begins: who sent it, the message's number among its publisher's, and when it was due.
///
/// 16 bytes, big-endian: a mark of the run (16 bits), nanoseconds since the run's start (48), publisher (24), number (40).
struct PayloadStamp: Equatable {
    static let size = 16
    static let maximumNumber = 1 << 40 - 1

    var mark: UInt16
    /// Nanoseconds after the start; at most three days.
    var due: Int
    var publisher: Int
    var number: Int

    init(mark: UInt16, due: Int, publisher: Int, number: Int) {
        (self.mark, self.due, self.publisher, self.number) = (mark, due, publisher, number)
    }

    /// - Returns: nil where the payload is too short to be of any run.
    @inline(__always)
    init?(_ payload: Bytes) {
        guard payload.count >= Self.size else { return nil }
        let first = UInt64(bigEndian: payload.loadUnaligned(as: UInt64.self))
        let second = UInt64(bigEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        (mark, due) = (UInt16(first >> 48), Int(first & 0xFFFF_FFFF_FFFF))
        (publisher, number) = (Int(second >> 40), Int(second & 0xFF_FFFF_FFFF))
    }

    @inline(__always)
    func write(to place: UnsafeMutableRawPointer) {
        let first = UInt64(mark) << 48 | UInt64(due) & 0xFFFF_FFFF_FFFF
        let second = UInt64(publisher) << 40 | UInt64(number) & 0xFF_FFFF_FFFF
        place.storeBytes(of: first.bigEndian, as: UInt64.self)
        place.storeBytes(of: second.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
}
