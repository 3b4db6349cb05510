import Glibc

/// Strings of up to 65,535 bytes, one after another in one block, each after its length: a worker has millions of them.
struct ByteArena {
    private var block: ContiguousArray<UInt8> = []
    /// Bytes of strings that were removed.
    private var wasted = 0

    /// Whether so many bytes were removed that the owner should pack the rest.
    var isWasteful: Bool { wasted > 4096 && wasted > block.count / 2 }

    /// - Returns: its offset.
    mutating func append(_ bytes: Bytes) -> UInt32 {
        let offset = UInt32(block.count)
        block.append(UInt8(truncatingIfNeeded: bytes.count))
        block.append(UInt8(truncatingIfNeeded: bytes.count >> 8))
        block.append(contentsOf: bytes)
        return offset
    }

    mutating func remove(at offset: UInt32) { wasted += 2 + length(at: offset) }

    /// Moves a string to another arena, while this one is packed.
    func move(_ offset: inout UInt32, to other: inout ByteArena) { offset = withBytes(at: offset) { other.append($0) } }

    @inline(__always)
    func withBytes<Result>(at offset: UInt32, _ body: (Bytes) -> Result) -> Result {
        block.withUnsafeBytes { all in
            let start = Int(offset) + 2
            return body(Bytes(rebasing: all[start..<start + length(at: offset)]))
        }
    }

    /// Whether the string at an offset is these bytes.
    @inline(__always)
    func holds(_ bytes: Bytes, at offset: UInt32) -> Bool { withBytes(at: offset) { equal($0, bytes) } }

    @inline(__always)
    private func length(at offset: UInt32) -> Int { Int(block[Int(offset)]) | Int(block[Int(offset) + 1]) << 8 }
}

/// Strings under small numbers, each kept once, with a value that the caller sets.
struct BytePool {
    private struct Entry {
        /// Its place in the arena; `gone` where the number is free.
        var offset: UInt32
        var value: UInt32
    }

    private static let gone = UInt32.max

    private var arena = ByteArena()
    private var entries: ContiguousArray<Entry> = []
    private var free: ContiguousArray<UInt32> = []
    private var table = ByteTable()

    var count: Int { table.count }

    /// All numbers are below it.
    var end: UInt32 { UInt32(entries.count) }

    func isUsed(_ number: UInt32) -> Bool { entries[Int(number)].offset != Self.gone }

    /// The caller's value for a string: 0 at first.
    subscript(number: UInt32) -> UInt32 {
        get { entries[Int(number)].value }
        set { entries[Int(number)].value = newValue }
    }

    func find(_ bytes: Bytes) -> UInt32? { find(bytes, ByteHash.of(bytes)) }

    func find(_ bytes: Bytes, _ hash: UInt32) -> UInt32? { table.find(hash) { arena.holds(bytes, at: entries[Int($0)].offset) } }

    /// Its number, entered if it is new.
    mutating func enter(_ bytes: Bytes) -> (number: UInt32, isNew: Bool) {
        let hash = ByteHash.of(bytes)
        if let known = find(bytes, hash) { return (known, false) }
        let entry = Entry(offset: arena.append(bytes), value: 0)
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            entries[Int(number)] = entry
        } else {
            number = UInt32(entries.count)
            entries.append(entry)
        }
        table.insert(hash, number) { [arena, entries] in arena.withBytes(at: entries[Int($0)].offset, { ByteHash.of($0) }) }
        return (number, true)
    }

    mutating func remove(_ number: UInt32) {
        table.remove(withBytes(number, { ByteHash.of($0) }), number)
        arena.remove(at: entries[Int(number)].offset)
        entries[Int(number)] = Entry(offset: Self.gone, value: 0)
        free.append(number)
        if arena.isWasteful { compact() }
    }

    func text(_ number: UInt32) -> String { withBytes(number) { String(decoding: $0, as: UTF8.self) } }

    func withBytes<Result>(_ number: UInt32, _ body: (Bytes) -> Result) -> Result {
        arena.withBytes(at: entries[Int(number)].offset, body)
    }

    private mutating func compact() {
        var packed = ByteArena()
        for at in entries.indices where entries[at].offset != Self.gone { arena.move(&entries[at].offset, to: &packed) }
        arena = packed
    }
}

/// A pool whose values count how often each string is used.
extension BytePool {
    /// Its number, entered if it is new, and used once more.
    mutating func retain(_ bytes: Bytes) -> (number: UInt32, isNew: Bool) {
        let entered = enter(bytes)
        self[entered.number] += 1
        return entered
    }

    mutating func retain(_ text: String) -> (number: UInt32, isNew: Bool) {
        var text = text
        return text.withUTF8 { retain(Bytes($0)) }
    }

    /// Used once less, and removed when it is not used any more.
    mutating func release(_ number: UInt32) {
        self[number] -= 1
        if self[number] == 0 { remove(number) }
    }

    func find(_ text: String) -> UInt32? {
        var text = text
        return text.withUTF8 { find(Bytes($0)) }
    }

    mutating func enter(_ text: String) -> (number: UInt32, isNew: Bool) {
        var text = text
        return text.withUTF8 { enter(Bytes($0)) }
    }
}
