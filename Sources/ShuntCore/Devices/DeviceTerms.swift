/// The terms that find devices: each uid, device name, tag and alias once, under a small number, with the devices that have it.
struct DeviceTerms {
    enum Field: UInt8 {
        case uid, device, tag, alias
    }

    private struct Term {
        var text: String
        var field: Field
        var postings = DevicePostings()
    }

    private var terms: ContiguousArray<Term> = []
    private var free: ContiguousArray<UInt32> = []
    private var table = ByteTable()

    var count: Int { table.count }

    /// The number of a term; nil if no device has it.
    func find(_ field: Field, _ text: String) -> UInt32? {
        find(field, text, Self.hash(field, text))
    }

    /// Enters a device under a term.
    /// - Returns: the term's number, and the device's position in its postings.
    mutating func enter(_ field: Field, _ text: String, place: UInt32) -> DeviceMembership {
        let hash = Self.hash(field, text)
        let term = find(field, text, hash) ?? make(field, text, hash)
        return DeviceMembership(term: term, position: terms[Int(term)].postings.append(place))
    }

    /// Takes a device out of a term's postings; the term goes with its last device.
    /// - Returns: the device that has moved to its position.
    mutating func leave(_ membership: DeviceMembership) -> UInt32? {
        let term = Int(membership.term)
        let moved = terms[term].postings.remove(at: membership.position)
        if terms[term].postings.count == 0 {
            table.remove(Self.hash(terms[term].field, terms[term].text), membership.term)
            terms[term].text = ""
            free.append(membership.term)
        }
        return moved
    }

    func text(_ term: UInt32) -> String { terms[Int(term)].text }

    func count(of term: UInt32) -> Int { terms[Int(term)].postings.count }

    /// The devices that have a term.
    @inline(__always)
    func forEachPlace(of term: UInt32, _ body: (UInt32) -> Void) { terms[Int(term)].postings.forEach(body) }

    private func find(_ field: Field, _ text: String, _ hash: UInt32) -> UInt32? {
        table.find(hash) { terms[Int($0)].field == field && terms[Int($0)].text.utf8.elementsEqual(text.utf8) }
    }

    private mutating func make(_ field: Field, _ text: String, _ hash: UInt32) -> UInt32 {
        let index: UInt32
        if let reused = free.popLast() {
            index = reused
            terms[Int(index)] = Term(text: text, field: field)
        } else {
            index = UInt32(terms.count)
            terms.append(Term(text: text, field: field))
        }
        table.insert(hash, index) { [terms] in Self.hash(terms[Int($0)].field, terms[Int($0)].text) }
        return index
    }

    private static func hash(_ field: Field, _ text: String) -> UInt32 {
        var text = text
        return text.withUTF8 { ByteHash.of(Bytes($0)) } &+ UInt32(field.rawValue) &* 0x9E37_79B9
    }
}

/// One of a device's terms, and the device's position in that term's postings: the device leaves without a search.
struct DeviceMembership {
    var term: UInt32
    var position: UInt32
}

/// The devices that have a term, in no order. Most uids have one device, which costs no memory of its own.
struct DevicePostings {
    private static let none = UInt32.max
    private var first = none
    private var others: ContiguousArray<UInt32> = []

    var count: Int { first == Self.none ? 0 : 1 + others.count }

    mutating func append(_ place: UInt32) -> UInt32 {
        guard first != Self.none else {
            first = place
            return 0
        }
        others.append(place)
        return UInt32(others.count)
    }

    /// Removes a device; the last one takes its position.
    /// - Returns: the device that has moved; nil if the last one went.
    mutating func remove(at position: UInt32) -> UInt32? {
        guard let last = others.popLast() else {
            first = Self.none
            return nil
        }
        // Gives back the storage that a storm of devices has left behind.
        if others.isEmpty { others = [] }
        if position == 0 {
            first = last
        } else if position <= others.count {
            others[Int(position) - 1] = last
        } else {
            return nil
        }
        return last
    }

    @inline(__always)
    func forEach(_ body: (UInt32) -> Void) {
        guard first != Self.none else { return }
        body(first)
        for place in others { body(place) }
    }
}
