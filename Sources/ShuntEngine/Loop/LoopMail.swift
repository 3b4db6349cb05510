import ShuntCore

/// What one loop sends another at the end of a turn: letters, then messages for its clients.
///
/// Belongs to one loop at a time: to the one that fills it until it is posted, then to the one that reads it. That makes it `Sendable`.
public final class LoopMail: @unchecked Sendable {
    public struct Item: Sendable {
        /// The recipient, with the hand-over in place of its loop, which is the reader's.
        private let recipientAndHandOver: UInt64
        public let offset: UInt32
        private let countAndForm: UInt32

        init(_ recipient: ConnectionID, offset: UInt32, _ stretch: Stretch, _ handOver: HandOver) {
            recipientAndHandOver = recipient.raw & Self.slotMask | UInt64(handOver.raw) << Self.handOverShift
            self.offset = offset
            countAndForm = stretch.count | UInt32(stretch.form.rawValue) << Self.formShift
        }

        private static let handOverShift: UInt64 = 56
        private static let slotMask: UInt64 = 0x00FF_FFFF_FFFF_FFFF

        /// - Parameter loop: that has got the mail.
        public func recipient(on loop: UInt8) -> ConnectionID {
            ConnectionID(raw: recipientAndHandOver & Self.slotMask | UInt64(loop) << Self.handOverShift)
        }
        public var handOver: HandOver { HandOver(raw: UInt8(truncatingIfNeeded: recipientAndHandOver >> Self.handOverShift)) }

        /// A message has less than 512 MiB in any form (`limits.frame`), which leaves three bits for its form.
        private static let formShift: UInt32 = 29
        public var count: Int { Int(countAndForm & (1 << Self.formShift - 1)) }
        public var form: WireForm { WireForm(rawValue: UInt8(countAndForm >> Self.formShift)).unsafelyUnwrapped }
    }

    public private(set) var letters: [LoopLetter] = []
    /// Read after the messages: they confirm that nothing from before is still under way.
    public private(set) var lastLetters: [LoopLetter] = []
    /// Bytes of memory that it takes while it is under way.
    public private(set) var cost = 0

    // Memory of its own, since a message is appended with each turn of the hot path: an array checks each time whether it is shared.
    private var itemStart: UnsafeMutablePointer<Item>
    private var itemCount = 0
    private var itemCapacity: Int
    private var byteStart: UnsafeMutableRawPointer
    private var byteCount = 0
    private var byteCapacity: Int
    /// What was appended last: a message for several clients is copied once.
    private var lastStretch = Stretch.none
    private var lastOffset: UInt32 = 0

    private static let fewItems = 16
    private static let fewBytes = 2 << 10

    public init() {
        (itemCapacity, byteCapacity) = (Self.fewItems, Self.fewBytes)
        itemStart = .allocate(capacity: itemCapacity)
        byteStart = .allocate(byteCount: byteCapacity, alignment: 16)
    }

    /// Empties it, so that its memory is filled again. Fresh memory costs a page fault for every 30 messages.
    public func reset() {
        letters = []
        lastLetters = []
        (itemCount, byteCount, cost) = (0, 0, 0)
        lastStretch = .none
    }

    /// Bytes of memory that it has for messages, filled or not.
    public var capacity: Int { itemCapacity * MemoryLayout<Item>.stride + byteCapacity }

    deinit {
        itemStart.deallocate()
        byteStart.deallocate()
    }

    public var isEmpty: Bool { itemCount == 0 && letters.isEmpty && lastLetters.isEmpty }
    var hasLetters: Bool { !letters.isEmpty || !lastLetters.isEmpty }
    /// The messages' recipients, in order.
    public var items: UnsafeBufferPointer<Item> { UnsafeBufferPointer(start: itemStart, count: itemCount) }
    /// Bytes of the messages, together.
    public var bytes: Int { byteCount }

    /// A message's bytes; they live as long as the mail.
    public func bytes(of item: Item) -> Bytes { Bytes(start: byteStart + Int(item.offset), count: item.count) }

    public func append(_ letter: LoopLetter) {
        if case .synced = letter { lastLetters.append(letter) } else { letters.append(letter) }
        cost += MemoryLayout<LoopLetter>.stride + letter.payloadSize
    }

    @inline(__always)
    func append(_ message: Bytes, _ stretch: Stretch, to recipient: ConnectionID, _ handOver: HandOver = .none) {
        if stretch != lastStretch { copy(message, stretch) }
        if itemCount == itemCapacity { growItems() }
        (itemStart + itemCount).initialize(to: Item(recipient, offset: lastOffset, stretch, handOver))
        itemCount += 1
        cost += MemoryLayout<Item>.stride
    }

    @inline(__always)
    private func copy(_ message: Bytes, _ stretch: Stretch) {
        if byteCount + message.count > byteCapacity { growBytes(message.count) }
        lastOffset = UInt32(byteCount)
        if let source = message.baseAddress { (byteStart + byteCount).copyMemory(from: source, byteCount: message.count) }
        byteCount += message.count
        cost += message.count
        lastStretch = stretch
    }

    /// The next stretches mean other bytes.
    func endBatch() { lastStretch = .none }

    @inline(never)
    private func growItems() {
        let larger = UnsafeMutablePointer<Item>.allocate(capacity: itemCapacity * 2)
        larger.moveInitialize(from: itemStart, count: itemCount)
        itemStart.deallocate()
        (itemStart, itemCapacity) = (larger, itemCapacity * 2)
    }

    @inline(never)
    private func growBytes(_ count: Int) {
        byteCapacity = max(byteCapacity * 2, byteCount + count)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: byteCapacity, alignment: 16)
        larger.copyMemory(from: byteStart, byteCount: byteCount)
        byteStart.deallocate()
        byteStart = larger
    }
}
