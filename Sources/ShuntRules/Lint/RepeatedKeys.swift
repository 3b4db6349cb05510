import LuaSyntax
import ShuntCore

/// A key that a file gives a value twice: the first one is lost.
struct RepeatedKey {
    /// A key that is written out. Texts are the same where their bytes are.
    enum Name: Hashable {
        case text([UInt8]), number(String), boolean(Bool)

        init?(_ value: LuaExpression) {
            switch value.kind {
            case .text(let text): self = .text(Array(text.utf8))
            case .bytes(let bytes): self = .text(bytes)
            case .number(let digits): self = .number(digits)
            case .boolean(let isTrue): self = .boolean(isTrue)
            default: return nil
            }
        }

        init?(_ key: LuaTableField.Key) {
            switch key {
            case .name(let name): self = .text(Array(name.utf8))
            case .value(let value): self.init(value)
            case .position: return nil
            }
        }

        /// As it is written.
        var shown: String {
            switch self {
            case .text(let bytes): PrintableText.text(of: bytes)
            case .number(let digits): digits
            case .boolean(let isTrue): "\(isTrue)"
            }
        }

        /// Of a text.
        var bytes: [UInt8] { if case .text(let bytes) = self { bytes } else { [] } }
    }

    let name: Name
    let offset: Int
    let first: Int
    /// It is a test, or a hook: work is lost.
    let isServed: Bool
}

extension RepeatedKey {
    /// All of a file, in their order.
    /// - Parameter outline: of the table that the file returns.
    static func all(in tree: LuaTree, _ outline: RuleOutline, isTest: Bool) -> [RepeatedKey] {
        var found = inTables(of: tree, start: outline.start, isTest: isTest)
        found += assigned(tree, outline, isTest: isTest)
        return found.sorted { $0.offset < $1.offset }
    }

    /// The tests of a file whose names stand there twice.
    static func tests(in tree: LuaTree) -> [RepeatedKey] { all(in: tree, RuleOutline(tree), isTest: true).filter(\.isServed) }

    private static func isServed(_ name: Name, _ value: LuaExpression?, isTest: Bool) -> Bool {
        guard case .text = name else { return false }
        guard isTest else { return RuleHook(rawValue: name.shown) != nil }
        switch value?.kind {
        case .function, .name, .suffixed, nil: return true
        default: return false
        }
    }

    /// - Parameter start: of the table that the file returns.
    private static func inTables(of tree: LuaTree, start: Int?, isTest: Bool) -> [RepeatedKey] {
        var found: [RepeatedKey] = []
        var walker = LintWalker()
        walker.expression = { one, _ in
            guard case .table(let fields) = one.kind else { return }
            var firsts: [Name: Int] = [:]
            for field in fields {
                guard let name = Name(field.key) else { continue }
                if let first = firsts[name] {
                    let served = one.offset == start && isServed(name, field.value, isTest: isTest)
                    found.append(RepeatedKey(name: name, offset: field.offset, first: first, isServed: served))
                } else {
                    firsts[name] = field.offset
                }
            }
        }
        walker.walk(tree.body)
        return found
    }

    // MARK: assignments

    /// What the file's top gives its table's keys one after the other, and nobody reads between.
    private static func assigned(_ tree: LuaTree, _ outline: RuleOutline, isTest: Bool) -> [RepeatedKey] {
        guard let table = outline.table else { return [] }
        var firsts: [Name: Int] = [:]
        var found: [RepeatedKey] = []
        for statement in tree.body.statements {
            let writes = writes(of: statement, to: table)
            let used = reads(of: statement, from: table, besides: Set(writes.map(\.offset)))
            if used.isWhole { firsts = [:] }
            for name in used.names { firsts[name] = nil }
            for write in writes {
                guard let first = firsts[write.name], !write.isInTable else {
                    firsts[write.name] = write.offset
                    continue
                }
                let served = isServed(write.name, write.value, isTest: isTest)
                found.append(RepeatedKey(name: write.name, offset: write.offset, first: first, isServed: served))
            }
        }
        return found
    }

    private struct Write {
        var name: Name
        var offset: Int
        var value: LuaExpression?
        /// It stands in the table as it is made.
        var isInTable = false
    }

    private static func writes(of statement: LuaStatement, to table: LuaVariable) -> [Write] {
        switch statement.kind {
        case .local(let variables, let values):
            guard let index = variables.firstIndex(where: { $0 === table }), index < values.count, case .table(let fields) = values[index].kind else {
                return []
            }
            return fields.compactMap { field in
                Name(field.key).map { Write(name: $0, offset: field.offset, value: field.value, isInTable: true) }
            }
        case .assignment(let targets, let values):
            return targets.enumerated().compactMap { index, target in
                let value = index < values.count ? values[index] : nil
                return member(target, of: table).map { Write(name: $0.name, offset: $0.offset, value: value) }
            }
        case .function(let target, _, _): return member(target, of: table).map { [Write(name: $0.name, offset: $0.offset)] } ?? []
        default: return []
        }
    }

    private static func member(_ value: LuaExpression, of table: LuaVariable) -> (name: Name, offset: Int)? {
        guard case .suffixed(let base, let suffixes) = value.kind, suffixes.count == 1, case .name(let owner) = base.kind, owner.variable === table
        else { return nil }
        switch suffixes[0].kind {
        case .field(let name): return (.text(Array(name.utf8)), suffixes[0].offset)
        case .index(let key): return Name(key).map { ($0, suffixes[0].offset) }
        case .call, .method: return nil
        }
    }

    /// The keys that a statement reads, and whether it uses the table itself, so that anything of it may be read.
    private static func reads(of statement: LuaStatement, from table: LuaVariable, besides writes: Set<Int>) -> (names: [Name], isWhole: Bool) {
        var names: [Name] = []
        var whole = 0
        var walker = LintWalker()
        walker.expression = { one, _ in
            switch one.kind {
            case .name(let name) where name.variable === table: whole += 1
            case .suffixed(let base, let suffixes):
                guard case .name(let owner) = base.kind, owner.variable === table, let first = suffixes.first else { return }
                if suffixes.count == 1, writes.contains(first.offset) {
                    whole -= 1
                    return
                }
                guard case .field(let name) = first.kind else { return }
                whole -= 1
                names.append(.text(Array(name.utf8)))
            default: break
            }
        }
        walker.walk(statement, 0)
        return (names, whole > 0)
    }
}
