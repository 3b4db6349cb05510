import Glibc
import ShuntCore

/// What a client may do by one action: clauses in order; the first that takes a topic decides.
///
/// Literal filters are found by a hash, the others are tried in order. To decide takes no memory.
struct DecisionList: Sendable {
    /// One filter that is allowed or denied.
    struct Clause: Sendable {
        /// nil: everything.
        var filter: [UInt8]?
        var isAllowed: Bool
        /// The consumer groups that it is about; nil: every one.
        var groups: [[UInt8]]?
        var place: AccessPlace
    }

    private struct Row: Sendable {
        var range: Range<Int>
        var isEverything: Bool
        var isPattern: Bool
        var isAllowed: Bool
        var groups: [[UInt8]]?
    }

    private var bytes: ContiguousArray<UInt8> = []
    private var rows: ContiguousArray<Row> = []
    private var places: [AccessPlace] = []
    /// The literal filters of all groups, by their rows.
    private var exact = ByteTable()
    private var hasExact = false
    /// The rows of all others.
    private var others: ContiguousArray<Int> = []
    /// The decision where no clause takes the topic.
    private let standard: Bool
    private let hidesDollar: Bool

    /// - Parameter hidesDollar: as `FilterRelation` has it.
    init(_ clauses: [Clause], standard: Bool, hidesDollar: Bool = true) {
        self.standard = standard
        self.hidesDollar = hidesDollar
        for clause in clauses {
            append(clause)
            // No clause after one that takes everything can decide.
            if clause.filter == nil, clause.groups == nil { break }
        }
    }

    private mutating func append(_ clause: Clause) {
        let start = bytes.count
        bytes += clause.filter ?? []
        let row = Row(
            range: start..<bytes.count, isEverything: clause.filter == nil,
            isPattern: clause.filter?.withUnsafeBytes { TopicFilter.isPattern($0) } ?? false, isAllowed: clause.isAllowed, groups: clause.groups)
        rows.append(row)
        places.append(clause.place)
        let number = UInt32(rows.count - 1)
        guard !row.isEverything, !row.isPattern, row.groups == nil else { return others.append(Int(number)) }
        let filter = clause.filter ?? []
        let (isKnown, hash) = filter.withUnsafeBytes { (find($0) != nil, ByteHash.of($0)) }
        // Of two literal clauses that are the same the first decides.
        guard !isKnown else { return }
        hasExact = true
        let (rows, bytes) = (rows, bytes)
        exact.insert(hash, number) { other in bytes.withUnsafeBytes { ByteHash.of(Bytes(rebasing: $0[rows[Int(other)].range])) } }
    }

    /// Whether a look at a topic takes longer than a comparison with the one before.
    var isLong: Bool { others.count > 2 }

    /// Whether it decides the same, whatever the consumer group.
    var hasGroups: Bool { rows.contains { $0.groups != nil } }

    // MARK: Decisions

    /// Whether a topic is allowed.
    func allows(topic: Bytes, group: Bytes?) -> Bool { row(topic, group).map { rows[$0].isAllowed } ?? standard }

    /// Whether a subscription's filter is allowed: whether the first clause that takes each of its topics allows them. What a clause before
    /// it denies of them must be withheld when it is delivered (`withholds`).
    func allows(filter: Bytes, group: Bytes?) -> Bool { row(covering: filter, group).map { rows[$0].isAllowed } ?? standard }

    /// Whether some topics of a filter are denied, although the filter is allowed.
    func withholds(filter: Bytes, group: Bytes?) -> Bool {
        let end = row(covering: filter, group) ?? rows.count
        return bytes.withUnsafeBytes { bytes in
            rows[..<end].contains { row in
                !row.isAllowed && concerns(row, group)
                    && (row.isEverything
                        || FilterRelation.overlap(Bytes(rebasing: bytes[row.range]), filter, hidesDollar: hidesDollar))
            }
        }
    }

    /// The place of the clause that decides; nil if none does.
    func place(of subject: Bytes, isFilter: Bool, group: Bytes?) -> AccessPlace? {
        (isFilter ? row(covering: subject, group) : row(subject, group)).map { places[$0] }
    }

    @inline(__always)
    private func find(_ topic: Bytes) -> Int? {
        guard hasExact else { return nil }
        return bytes.withUnsafeBytes { bytes in
            exact.find(ByteHash.of(topic)) { number in
                let range = rows[Int(number)].range
                return range.count == topic.count && Self.equal(bytes, range.lowerBound, topic)
            }.map { Int($0) }
        }
    }

    @inline(__always)
    private static func equal(_ bytes: Bytes, _ start: Int, _ topic: Bytes) -> Bool {
        guard let one = bytes.baseAddress, let other = topic.baseAddress else { return topic.isEmpty }
        return memcmp(one + start, other, topic.count) == 0
    }

    /// The first row that takes a topic.
    private func row(_ topic: Bytes, _ group: Bytes?) -> Int? {
        let exact = find(topic)
        guard !others.isEmpty else { return exact }
        return bytes.withUnsafeBytes { bytes in
            for number in others {
                if let exact, exact < number { return exact }
                if takes(rows[number], bytes, topic, group) { return number }
            }
            return exact
        }
    }

    @inline(__always)
    private func takes(_ row: Row, _ bytes: Bytes, _ topic: Bytes, _ group: Bytes?) -> Bool {
        guard concerns(row, group) else { return false }
        return row.isEverything || FilterRelation.takes(Bytes(rebasing: bytes[row.range]), topic: topic, hidesDollar: hidesDollar)
    }

    /// The first row that takes each topic of a filter.
    private func row(covering filter: Bytes, _ group: Bytes?) -> Int? {
        guard TopicFilter.isPattern(filter) else { return row(filter, group) }
        return bytes.withUnsafeBytes { bytes in
            others.first { number in
                let row = rows[number]
                guard concerns(row, group) else { return false }
                return row.isEverything || FilterRelation.covers(Bytes(rebasing: bytes[row.range]), filter, hidesDollar: hidesDollar)
            }
        }
    }

    @inline(__always)
    private func concerns(_ row: Row, _ group: Bytes?) -> Bool {
        guard let groups = row.groups else { return true }
        guard let group else { return false }
        return groups.contains { $0.count == group.count && group.elementsEqual($0) }
    }
}

/// Where a decision about rights comes from.
enum AccessPlace: Hashable, Sendable {
    /// An entry of `AccessRules`, by its place in the list.
    case rules(Int)
    /// The client's token, or the answer of the HTTP service.
    case token
    /// A line of an `ACLFile`.
    case file(Int)
    /// A table of a rule in Lua.
    case grant
}
