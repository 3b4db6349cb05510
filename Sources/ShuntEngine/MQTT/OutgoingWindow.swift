import ShuntCore

/// The messages of QoS 1 and 2 that are on their way to one client, in the order in which they were sent first (5.0 §4.3, §4.4, §4.6).
struct OutgoingWindow {
    struct Entry: Equatable {
        var identifier: UInt16
        /// The client has PUBREC'd it: PUBREL is out, PUBCOMP is to come.
        var isReleased = false
        var handOver: HandOver
        /// The message among those that are held; `HeldMessages.none` where nobody would want it again.
        var held: UInt32
        /// Counts identifiers, so that it is known whether one may still be in use.
        fileprivate var number: UInt32
    }

    private var entries = Fifo<Entry>()
    /// Identifiers given so far.
    private var given: UInt32 = 0
    private var lastIdentifier: UInt16 = 0
    /// Entries before this place have been sent on the present connection.
    private(set) var sent = 0

    var count: Int { entries.count }
    var isEmpty: Bool { entries.isEmpty }
    /// Whether all have been sent on the present connection.
    var isCaughtUp: Bool { sent == entries.count }
    var all: ArraySlice<Entry> { entries.all }

    /// A message is sent: it gets the next identifier that is free, 1 to 65,535 in turn (5.0 §2.2.1).
    mutating func append(_ handOver: HandOver, held: UInt32) -> UInt16 {
        repeat {
            lastIdentifier = lastIdentifier == .max ? 1 : lastIdentifier + 1
            given &+= 1
        } while isInUse(lastIdentifier)
        entries.append(Entry(identifier: lastIdentifier, handOver: handOver, held: held, number: given))
        sent += 1
        return lastIdentifier
    }

    private func isInUse(_ identifier: UInt16) -> Bool {
        // The oldest identifier is not so old that the count has come round to it.
        guard let oldest = entries.first, given &- oldest.number >= 65_535 else { return false }
        return place(of: identifier) != nil
    }

    /// PUBACK and PUBCOMP mostly come in order: the first entry is the one.
    private func place(of identifier: UInt16) -> Int? { entries.all.firstIndex { $0.identifier == identifier }.map { $0 - entries.all.startIndex } }

    /// What became of an answer.
    enum Answered: Equatable {
        /// The message is with the client. The caller gives up what is held.
        case done(Entry)
        /// The client has the message and does not yet have PUBREL. The caller gives up what is held.
        case release(Entry)
        case unknown
    }

    /// PUBACK, or a PUBREC that refuses the message.
    mutating func acknowledged(_ identifier: UInt16, qos: QoS) -> Answered {
        guard let place = place(of: identifier), entries[place].handOver.qos == qos, !entries[place].isReleased else { return .unknown }
        return .done(remove(place))
    }

    /// PUBREC.
    mutating func received(_ identifier: UInt16) -> Answered {
        guard let place = place(of: identifier), entries[place].handOver.qos == .exactlyOnce else { return .unknown }
        let entry = entries[place]
        (entries[place].isReleased, entries[place].held) = (true, HeldMessages.none)
        return .release(entry)
    }

    /// PUBCOMP.
    mutating func completed(_ identifier: UInt16) -> Answered {
        guard let place = place(of: identifier), entries[place].isReleased else { return .unknown }
        return .done(remove(place))
    }

    private mutating func remove(_ place: Int) -> Entry {
        if place < sent { sent -= 1 }
        return entries.remove(at: place)
    }

    /// The connection did not take a message.
    mutating func takeBack(_ identifier: UInt16) -> Entry? { place(of: identifier).map { remove($0) } }

    /// The connection did not take a message that had been sent on an earlier one: it and what follows is sent again later.
    mutating func sendLater(from identifier: UInt16) { if let place = place(of: identifier) { sent = min(sent, place) } }

    // MARK: Another connection

    /// The connection has gone: all is to be sent again on the next one.
    mutating func disconnected() { sent = 0 }

    /// The next entry that is to be sent again.
    mutating func nextAgain() -> Entry? {
        guard sent < entries.count else { return nil }
        defer { sent += 1 }
        return entries[sent]
    }

    mutating func removeAll() {
        entries.removeAll()
        sent = 0
    }
}
