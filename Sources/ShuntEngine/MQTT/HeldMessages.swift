import ShuntCore

/// The messages that wait for sessions of one loop, each once, however many sessions it waits for.
///
/// Their bytes are whole packets, as all recipients of their form share them.
final class HeldMessages {
    /// No message.
    static let none = UInt32.max

    private struct Held {
        var start: UnsafeMutableRawPointer
        var count: UInt32
        var references: UInt32
        var form: WireForm
        /// It is a dead letter.
        var isDead: Bool
        /// Seconds since 1970.
        var expiresAt: Double
    }

    private var messages: ContiguousArray<Held> = []
    private var free: ContiguousArray<UInt32> = []
    /// The message that was held last, by its place: valid until `endBatch`.
    private var last: (start: UnsafeRawPointer, count: Int, number: UInt32)?
    /// The message that sessions are handed is a dead letter: valid until `endBatch`.
    var isDead: Bool { isHandedDead || last.map { isDead($0.number) } ?? false }
    private var isHandedDead = false
    /// Bytes that all messages take.
    private(set) var bytes = 0
    var count: Int { messages.count - free.count }

    /// What a message takes besides its bytes.
    static let overhead = 64

    deinit { for message in messages where message.references > 0 { message.start.deallocate() } }

    /// Keeps a message for one session more.
    /// - Parameters:
    ///   - expiry: seconds; `MessageView.noExpiry`: it does not expire.
    ///   - isShared: the bytes stay in their place until `endBatch`, so that the next session that wants them is known to want the same message.
    func hold(_ packet: Bytes, _ form: WireForm, expiry: @autoclosure () -> UInt32, isShared: Bool, now: Double) -> UInt32 {
        if isShared, let last, last.start == packet.baseAddress, last.count == packet.count {
            messages[Int(last.number)].references += 1
            return last.number
        }
        let start = UnsafeMutableRawPointer.allocate(byteCount: packet.count, alignment: 8)
        if let source = packet.baseAddress { start.copyMemory(from: source, byteCount: packet.count) }
        let expiry = expiry()
        let held = Held(
            start: start, count: UInt32(packet.count), references: 1, form: form, isDead: isShared && isHandedDead,
            expiresAt: expiry == MessageView.noExpiry ? .infinity : now + Double(expiry))
        bytes += packet.count + Self.overhead
        let number: UInt32
        if let reused = free.popLast() {
            number = reused
            messages[Int(reused)] = held
        } else {
            number = UInt32(messages.count)
            messages.append(held)
        }
        if isShared, let source = packet.baseAddress { last = (source, packet.count, number) }
        return number
    }

    /// Bytes that it takes to keep a message: none where it is the one that was held last.
    /// - Parameter isShared: as `hold` has it.
    func cost(of packet: Bytes, isShared: Bool) -> Int {
        if isShared, let last, last.start == packet.baseAddress, last.count == packet.count { return 0 }
        return packet.count + Self.overhead
    }

    /// Another session wants the message too.
    func retain(_ number: UInt32) { if number != Self.none { messages[Int(number)].references += 1 } }

    /// One session less wants it.
    func release(_ number: UInt32) {
        guard number != Self.none else { return }
        messages[Int(number)].references -= 1
        guard messages[Int(number)].references == 0 else { return }
        let message = messages[Int(number)]
        message.start.deallocate()
        bytes -= Int(message.count) + Self.overhead
        free.append(number)
        if last?.number == number { last = nil }
    }

    /// The bytes that were held last may lie elsewhere from here on.
    func endBatch() {
        last = nil
        isHandedDead = false
    }

    /// The message that sessions are handed has become a dead letter, or not.
    func setDead(_ isDead: Bool) {
        isHandedDead = isDead
        if let last { setDead(last.number, isDead) }
    }

    func setDead(_ number: UInt32, _ isDead: Bool) { messages[Int(number)].isDead = isDead }
    func isDead(_ number: UInt32) -> Bool { messages[Int(number)].isDead }

    /// Lives as long as somebody wants the message.
    func packet(_ number: UInt32) -> Bytes { Bytes(start: messages[Int(number)].start, count: Int(messages[Int(number)].count)) }
    func size(_ number: UInt32) -> Int { Int(messages[Int(number)].count) }
    /// Bytes that are given back when a session gives the message up: none while others want it.
    func gain(_ number: UInt32) -> Int { messages[Int(number)].references == 1 ? size(number) + Self.overhead : 0 }
    /// The part of a message's memory that each of those has who want it.
    func share(_ number: UInt32) -> Int { number == Self.none ? 0 : (size(number) + Self.overhead) / Int(messages[Int(number)].references) }
    func form(_ number: UInt32) -> WireForm { messages[Int(number)].form }
    func expiresAt(_ number: UInt32) -> Double { messages[Int(number)].expiresAt }
}
