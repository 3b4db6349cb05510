import ShuntCore
import ShuntEngine

/// What one loop sends another at the end of a turn: letters, then messages for its clients.
struct LoopMail: Sendable {
    struct Item: Sendable {
        var recipient: ConnectionID
        var offset: UInt32
        var count: UInt32
    }

    private(set) var letters: [LoopLetter] = []
    /// Read after the messages: they confirm that nothing from before is still under way.
    private(set) var lastLetters: [LoopLetter] = []
    /// Bytes of memory that it takes while it is under way.
    private(set) var cost = 0
    private(set) var items: ContiguousArray<Item> = []
    private(set) var bytes: ContiguousArray<UInt8> = []
    /// What was appended last: a frame for several clients is copied once.
    private var last: (stretch: Stretch, offset: UInt32)?

    init() {}

    /// An empty one with room for as much as another holds.
    init(capacityOf other: LoopMail) {
        items.reserveCapacity(other.items.count)
        bytes.reserveCapacity(min(other.bytes.count, 1 << 20))
    }

    var isEmpty: Bool { items.isEmpty && letters.isEmpty && lastLetters.isEmpty }

    var hasLetters: Bool { !letters.isEmpty || !lastLetters.isEmpty }

    mutating func append(_ letter: LoopLetter) {
        if case .synced = letter { lastLetters.append(letter) } else { letters.append(letter) }
        cost += MemoryLayout<LoopLetter>.stride + letter.payloadSize
    }

    mutating func append(_ frame: Bytes, _ stretch: Stretch, to recipient: ConnectionID) {
        cost += MemoryLayout<Item>.stride
        if let last, last.stretch == stretch {
            items.append(Item(recipient: recipient, offset: last.offset, count: stretch.count))
            return
        }
        let offset = UInt32(truncatingIfNeeded: bytes.count)
        bytes.append(contentsOf: frame)
        cost += frame.count
        items.append(Item(recipient: recipient, offset: offset, count: stretch.count))
        last = (stretch, offset)
    }

    /// The next stretches mean other bytes.
    mutating func endBatch() { last = nil }
}
