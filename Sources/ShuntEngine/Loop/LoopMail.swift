import ShuntCore

/// What one loop sends another at the end of a turn: letters, then messages for its clients.
public struct LoopMail: Sendable {
    public struct Item: Sendable {
        public let recipient: ConnectionID
        public let offset: UInt32
        @usableFromInline let countAndForm: UInt32

        @inlinable
        init(_ recipient: ConnectionID, offset: UInt32, _ stretch: Stretch) {
            self.recipient = recipient
            self.offset = offset
            countAndForm = stretch.count | UInt32(stretch.form.rawValue) << Self.formShift
        }

        /// A message has less than 512 MiB in any form (`limits.frame`), which leaves three bits for its form.
        @usableFromInline static let formShift: UInt32 = 29
        @inlinable public var count: Int { Int(countAndForm & (1 << Self.formShift - 1)) }
        @inlinable public var form: WireForm { WireForm(rawValue: UInt8(countAndForm >> Self.formShift)).unsafelyUnwrapped }
    }

    public private(set) var letters: [LoopLetter] = []
    /// Read after the messages: they confirm that nothing from before is still under way.
    public private(set) var lastLetters: [LoopLetter] = []
    /// Bytes of memory that it takes while it is under way.
    public internal(set) var cost = 0
    public internal(set) var items: ContiguousArray<Item> = []
    public internal(set) var bytes: ContiguousArray<UInt8> = []
    /// What was appended last: a message for several clients is copied once.
    var last: (stretch: Stretch, offset: UInt32)?

    public init() {}

    /// An empty one with room for as much as another holds.
    init(capacityOf other: LoopMail) {
        items.reserveCapacity(other.items.count)
        bytes.reserveCapacity(min(other.bytes.count, 1 << 20))
    }

    public var isEmpty: Bool { items.isEmpty && letters.isEmpty && lastLetters.isEmpty }

    var hasLetters: Bool { !letters.isEmpty || !lastLetters.isEmpty }

    public mutating func append(_ letter: LoopLetter) {
        if case .synced = letter { lastLetters.append(letter) } else { letters.append(letter) }
        cost += MemoryLayout<LoopLetter>.stride + letter.payloadSize
    }

    public mutating func append(_ message: Bytes, _ stretch: Stretch, to recipient: ConnectionID) {
        cost += MemoryLayout<Item>.stride
        if let last, last.stretch == stretch {
            items.append(Item(recipient, offset: last.offset, stretch))
            return
        }
        let offset = UInt32(bytes.count)
        bytes.append(contentsOf: message)
        cost += message.count
        items.append(Item(recipient, offset: offset, stretch))
        last = (stretch, offset)
    }

    /// The next stretches mean other bytes.
    public mutating func endBatch() { last = nil }
}
