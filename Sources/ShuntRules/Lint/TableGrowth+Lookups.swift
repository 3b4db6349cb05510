import LuaSyntax

/// Keys that are looked up before a table gets them: where another table has the key, or the table itself, there are no more keys than these.
extension TableGrowth {
    /// A key that a condition asks a table for.
    private struct Lookup {
        let table: LuaVariable?
        let root: LuaVariable
        let path: [LuaSuffix]
    }

    /// Where keys are given that a condition around the place, or before it, has found in a table.
    func lookedUpWrites(in body: LuaBlock) -> Set<Int> {
        guard !writes.isEmpty else { return [] }
        var found: Set<Int> = []
        var walker = LintWalker()
        walker.block = { block in
            for (index, one) in block.statements.enumerated() {
                guard case .choice(let cases, let otherwise, _) = one.kind else { continue }
                for (place, choice) in cases.enumerated() {
                    found.formUnion(writes(after: lookups(in: choice.condition, has: true), in: choice.block.statements))
                    let missed = lookups(in: choice.condition, has: false)
                    guard !missed.isEmpty else { continue }
                    for later in cases[(place + 1)...] { found.formUnion(writes(after: missed, in: later.block.statements)) }
                    found.formUnion(writes(after: missed, in: otherwise?.statements ?? []))
                    guard choice.block.alwaysReturns else { continue }
                    found.formUnion(writes(after: missed, in: Array(block.statements[(index + 1)...])))
                }
            }
        }
        walker.walk(body)
        return found
    }

    private func writes(after lookups: [Lookup], in statements: [LuaStatement]) -> [Int] {
        guard !lookups.isEmpty, !statements.isEmpty else { return [] }
        var inside: Set<Int> = []
        var walker = LintWalker()
        walker.expression = { one, _ in inside.insert(one.offset) }
        for one in statements { walker.walk(one, 0) }
        return writes.filter { write in
            guard inside.contains(write.offset), let (root, path) = file.chain(of: write.key) else { return false }
            return lookups.contains { lookup in
                // A table that grows as well bounds nothing.
                if let table = lookup.table, table !== write.table, writes.contains(where: { $0.table === table }) { return false }
                return lookup.root === root && Self.areSame(lookup.path, path)
            }
        }.map(\.offset)
    }

    private static func areSame(_ one: [LuaSuffix], _ other: [LuaSuffix]) -> Bool {
        one.count == other.count
            && zip(one, other).allSatisfy { one, other in
                switch (one.kind, other.kind) {
                case (.field(let one), .field(let other)): one == other
                case (.method(let one, let given), .method(let other, let others)): one == other && given.isEmpty && others.isEmpty
                default: false
                }
            }
    }

    /// - Parameter has: whether the table has the key where the condition is true, else where it is false.
    private func lookups(in condition: LuaExpression, has: Bool, depth: Int = 0) -> [Lookup] {
        guard depth < 20 else { return [] }
        switch condition.kind {
        case .parenthesis(let inner): return lookups(in: inner, has: has, depth: depth + 1)
        case .unary("not", let inner): return lookups(in: inner, has: !has, depth: depth + 1)
        case .operations(let first, let rest):
            var found: [Lookup] = []
            var others = rest[...]
            if case .null = rest[0].right.kind, rest[0].sign == "==" || rest[0].sign == "~=" {
                found = lookups(in: first, has: has == (rest[0].sign == "~="), depth: depth + 1)
                others = others.dropFirst()
            } else {
                found = lookups(in: first, has: has, depth: depth + 1)
            }
            for one in others where one.sign == "and" || one.sign == "or" { found += lookups(in: one.right, has: has, depth: depth + 1) }
            return found
        case .name(let name):
            guard let value = name.variable.flatMap(file.value) else { return [] }
            return lookups(in: value, has: has, depth: depth + 1)
        case .suffixed(let base, let suffixes):
            guard has, case .index(let key)? = suffixes.last?.kind, let (root, path) = file.chain(of: key) else { return [] }
            var table: LuaVariable?
            if suffixes.count == 1, let (variable, path) = file.chain(of: base), path.isEmpty { table = variable }
            return [Lookup(table: table, root: root, path: path)]
        default: return []
        }
    }
}
