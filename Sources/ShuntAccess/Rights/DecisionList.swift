import Glibc
import ShuntCore

/// What a client may do by one action: clauses in order; the first that takes a topic decides.
///
/// A hash finds literal filters where there are several; patterns are tried in order. To decide takes no memory.
final class DecisionList: Sendable {
    /// One filter that is allowed or denied.
    struct Clause: Hashable, Sendable {
        /// nil: everything.
        var filter: [UInt8]?
        var isAllowed: Bool
        /// The consumer groups that it is about; nil: every one.
        var groups: [[UInt8]]?
        var place: AccessPlace
    }

    private struct Row: Sendable {
        /// Where its filter is in `bytes`.
        var start: Int32
        var end: Int32
        /// Bytes that each topic it takes begins with.
        var prefix: Int32
        /// Its place in `groups`; -1: it is about every group.
        var groups: Int32
        var isEverything: Bool
        var isPattern: Bool
        var isAllowed: Bool

        var range: Range<Int> { Int(start)..<Int(end) }
    }

    private let bytes: ContiguousArray<UInt8>
    private let rows: ContiguousArray<Row>
    private let places: [AccessPlace]
    private let groups: [[[UInt8]]]
    /// The literal filters of all groups, by their rows; nil where there are few.
    private let exact: ByteTable?
    /// The rows of all others.
    private let others: ContiguousArray<Int32>
    /// The decision where no clause takes the topic.
    private let standard: Bool
    private let hidesDollar: Bool

    /// As many literal filters as a look at each is as fast as a hash.
    private static let few = 4

    /// - Parameter hidesDollar: as `FilterRelation` has it.
    init(_ clauses: [Clause], standard: Bool, hidesDollar: Bool = true) {
        self.standard = standard
        self.hidesDollar = hidesDollar
        // No clause after one that takes everything can decide.
        let end = clauses.firstIndex { $0.filter == nil && $0.groups == nil }.map { $0 + 1 } ?? clauses.count
        var (bytes, rows, groups) = (ContiguousArray<UInt8>(), ContiguousArray<Row>(), [[[UInt8]]]())
        for clause in clauses[..<end] {
            let filter = clause.filter ?? []
            rows.append(
                Row(
                    start: Int32(bytes.count), end: Int32(bytes.count + filter.count), prefix: Self.prefix(of: filter),
                    groups: clause.groups == nil ? -1 : Int32(groups.count), isEverything: clause.filter == nil,
                    isPattern: filter.withUnsafeBytes { TopicFilter.isPattern($0) }, isAllowed: clause.isAllowed))
            bytes += filter
            if let names = clause.groups { groups.append(names) }
        }
        (self.bytes, self.rows, self.groups) = (bytes, rows, groups)
        places = clauses[..<end].map(\.place)
        let literal = rows.indices.filter { !rows[$0].isEverything && !rows[$0].isPattern && rows[$0].groups < 0 }
        exact = literal.count > Self.few ? Self.table(literal, rows, bytes) : nil
        let hasTable = exact != nil
        let hashed = Set(hasTable ? literal : [])
        others = ContiguousArray(rows.indices.filter { !hashed.contains($0) }.map { Int32($0) })
    }

    private static func table(_ literal: [Int], _ rows: ContiguousArray<Row>, _ bytes: ContiguousArray<UInt8>) -> ByteTable {
        bytes.withUnsafeBytes { bytes in
            var table = ByteTable()
            let filter = { (number: UInt32) in Bytes(rebasing: bytes[rows[Int(number)].range]) }
            for number in literal.map({ UInt32($0) }) {
                let hash = ByteHash.of(filter(number))
                // Of two that are the same the first decides.
                if table.find(hash, matches: { filter($0).elementsEqual(filter(number)) }) != nil { continue }
                table.insert(hash, number) { ByteHash.of(filter($0)) }
            }
            return table
        }
    }

    /// The bytes up to the first level with a wildcard, without the slash before it: `a/#` takes `a`.
    private static func prefix(of filter: [UInt8]) -> Int32 {
        let levels = filter.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let literal = levels.prefix { $0 != [UInt8(ascii: "+")] && $0 != [UInt8(ascii: "#")] }
        return Int32(literal.reduce(0) { $0 + $1.count } + max(0, literal.count - 1))
    }

    /// Whether a look at a topic takes longer than a comparison with the one before.
    var isLong: Bool { others.count > 2 }

    // MARK: Decisions

    /// Whether a topic is allowed.
    func allows(topic: Bytes, group: Bytes?) -> Bool {
        guard !rows.isEmpty else { return standard }
        let row = row(topic, group)
        return row < 0 ? standard : rows[row].isAllowed
    }

    /// Whether a subscription's filter is allowed: whether the first clause that takes each of its topics allows them. What a clause before
    /// it denies of them must be withheld when it is delivered (`withholds`).
    func allows(filter: Bytes, group: Bytes?) -> Bool {
        let row = row(covering: filter, group)
        return row < 0 ? standard : rows[row].isAllowed
    }

    /// Whether some topics of a filter are denied, although the filter is allowed.
    func withholds(filter: Bytes, group: Bytes?) -> Bool {
        let row = row(covering: filter, group)
        return bytes.withUnsafeBytes { bytes in
            rows[..<(row < 0 ? rows.count : row)].contains { row in
                !row.isAllowed && concerns(row, group)
                    && (row.isEverything || FilterRelation.overlap(Bytes(rebasing: bytes[row.range]), filter, hidesDollar: hidesDollar))
            }
        }
    }

    /// The place of the clause that decides; nil if none does.
    func place(of subject: Bytes, isFilter: Bool, group: Bytes?) -> AccessPlace? {
        let row = isFilter ? row(covering: subject, group) : row(subject, group)
        return row < 0 ? nil : places[row]
    }

    /// The first row that takes a topic; -1 for none.
    private func row(_ topic: Bytes, _ group: Bytes?) -> Int {
        bytes.withUnsafeBytes { bytes in
            let exact = find(topic, bytes)
            for number in others {
                let number = Int(number)
                if exact >= 0, exact < number { return exact }
                if takes(rows[number], bytes, topic, group) { return number }
            }
            return exact
        }
    }

    @inline(__always)
    private func find(_ topic: Bytes, _ bytes: Bytes) -> Int {
        guard let exact else { return -1 }
        let number = exact.find(ByteHash.of(topic)) { number in
            let row = rows[Int(number)]
            return row.range.count == topic.count && Self.begins(topic, with: row.range, of: bytes)
        }
        return number.map { Int($0) } ?? -1
    }

    @inline(__always)
    private func takes(_ row: Row, _ bytes: Bytes, _ topic: Bytes, _ group: Bytes?) -> Bool {
        guard concerns(row, group) else { return false }
        if row.isEverything { return true }
        // Most filters end here.
        guard topic.count >= row.prefix, Self.begins(topic, with: Int(row.start)..<Int(row.start + row.prefix), of: bytes) else { return false }
        guard row.isPattern else { return topic.count == row.range.count }
        return FilterRelation.takes(Bytes(rebasing: bytes[row.range]), topic: topic, hidesDollar: hidesDollar)
    }

    @inline(__always)
    private static func begins(_ topic: Bytes, with range: Range<Int>, of bytes: Bytes) -> Bool {
        guard !range.isEmpty, let one = bytes.baseAddress, let other = topic.baseAddress else { return range.isEmpty }
        return memcmp(one + range.lowerBound, other, range.count) == 0
    }

    /// The first row that takes each topic of a filter; -1 for none.
    private func row(covering filter: Bytes, _ group: Bytes?) -> Int {
        guard TopicFilter.isPattern(filter) else { return row(filter, group) }
        return bytes.withUnsafeBytes { bytes in
            for number in others {
                let row = rows[Int(number)]
                guard concerns(row, group) else { continue }
                if row.isEverything || FilterRelation.covers(Bytes(rebasing: bytes[row.range]), filter, hidesDollar: hidesDollar) {
                    return Int(number)
                }
            }
            return -1
        }
    }

    @inline(__always)
    private func concerns(_ row: Row, _ group: Bytes?) -> Bool {
        guard row.groups >= 0 else { return true }
        guard let group else { return false }
        return groups[Int(row.groups)].contains { $0.count == group.count && group.elementsEqual($0) }
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
}
