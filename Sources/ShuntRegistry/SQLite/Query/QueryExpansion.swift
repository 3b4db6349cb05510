/// How many SELECTs a statement becomes once SQLite has put every common table expression in the place of each of its names.
///
/// Each of twenty expressions that names the one before it twice makes a million of one: SQLite compiles all of them, in one
/// step that nothing ends, and keeps all in memory.
struct QueryExpansion {
    static let maximum = 5_000
    /// Expressions that a statement may define.
    static let maximumExpressions = 100

    private enum Token: Equatable {
        /// Lower case; quotes taken off.
        case name(String)
        case open, close, comma, other
    }

    private struct Expression {
        var name: String
        /// Of the tokens of its body.
        var body: Range<Int>
    }

    private let tokens: [Token]
    private var expressions: [String: [Expression]] = [:]
    private var count = 0
    private var weights: [String: Int] = [:]

    /// An upper bound, nil where it is beyond `maximum`. Names are counted wherever they stand, so columns that are called as an
    /// expression is count too.
    static func estimate(_ sql: String) -> Int? {
        var expansion = QueryExpansion(sql)
        guard expansion.count <= maximumExpressions else { return nil }
        let total = expansion.weight(of: expansion.tokens.indices)
        return total <= maximum ? total : nil
    }

    private init(_ sql: String) {
        tokens = Self.tokens(of: Array(sql.utf8))
        for index in tokens.indices {
            guard let expression = definition(at: index) else { continue }
            count += 1
            guard count <= Self.maximumExpressions else { return }
            expressions[expression.name, default: []].append(expression)
        }
    }

    /// `name [(columns)] AS [[NOT] MATERIALIZED] (body)`
    private func definition(at index: Int) -> Expression? {
        guard case .name(let name) = tokens[index] else { return nil }
        var next = index + 1
        if token(next) == .open { next = end(of: next) + 1 }
        guard token(next) == .name("as") else { return nil }
        next += 1
        if token(next) == .name("not") { next += 1 }
        if token(next) == .name("materialized") { next += 1 }
        guard token(next) == .open else { return nil }
        return Expression(name: name, body: next + 1..<max(end(of: next), next + 1))
    }

    private func token(_ index: Int) -> Token { index < tokens.count ? tokens[index] : .other }

    /// Where the parenthesis that opens there is closed; the end where it is not.
    private func end(of open: Int) -> Int {
        var depth = 0
        for index in open..<tokens.count {
            if tokens[index] == .open { depth += 1 }
            if tokens[index] == .close { depth -= 1 }
            if depth == 0 { return index }
        }
        return tokens.count
    }

    private mutating func weight(of range: Range<Int>) -> Int {
        var sum = 1
        for index in range where sum <= Self.maximum {
            if case .name(let name) = tokens[index], expressions[name] != nil { sum += weight(of: name) }
        }
        return sum
    }

    private mutating func weight(of name: String) -> Int {
        if let known = weights[name] { return known }
        // Its own name within it is a recursion, and becomes no more of it.
        weights[name] = 0
        var sum = 0
        for expression in expressions[name] ?? [] where sum <= Self.maximum { sum += weight(of: expression.body) }
        weights[name] = sum
        return sum
    }

    // MARK: Tokens

    private static func tokens(of sql: [UInt8]) -> [Token] {
        var tokens: [Token] = []
        var position = 0
        func byte(_ place: Int) -> UInt8 { place < sql.count ? sql[place] : 0 }
        while position < sql.count {
            let start = position
            position += 1
            switch sql[start] {
            case UInt8(ascii: "-") where byte(position) == UInt8(ascii: "-"):
                while position < sql.count, sql[position] != 0x0A { position += 1 }
            case UInt8(ascii: "/") where byte(position) == UInt8(ascii: "*"):
                position += 1
                while position < sql.count, !(byte(position) == UInt8(ascii: "*") && byte(position + 1) == UInt8(ascii: "/")) { position += 1 }
                position += 2
            case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "`"):
                tokens.append(.name(quoted(sql, &position, by: sql[start])))
            case UInt8(ascii: "["):
                while position < sql.count, sql[position] != UInt8(ascii: "]") { position += 1 }
                tokens.append(.name(name(sql[start + 1..<position])))
                position += 1
            case let first where isWord(first):
                while position < sql.count, isWord(sql[position]) { position += 1 }
                tokens.append(.name(name(sql[start..<position])))
            case UInt8(ascii: "("): tokens.append(.open)
            case UInt8(ascii: ")"): tokens.append(.close)
            case UInt8(ascii: ","): tokens.append(.comma)
            case 0x09...0x0D, 0x20: break
            default: tokens.append(.other)
            }
        }
        return tokens
    }

    /// To the closing quote; two of them stand for one.
    private static func quoted(_ sql: [UInt8], _ position: inout Int, by quote: UInt8) -> String {
        var bytes: [UInt8] = []
        while position < sql.count {
            if sql[position] == quote {
                guard position + 1 < sql.count, sql[position + 1] == quote else { break }
                position += 1
            }
            bytes.append(sql[position])
            position += 1
        }
        position += 1
        return name(bytes[...])
    }

    private static func name(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { 0x41...0x5A ~= $0 ? $0 + 0x20 : $0 }, as: UTF8.self)
    }

    /// Letters, digits and what SQLite takes for such.
    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...:
            true
        default: false
        }
    }
}
