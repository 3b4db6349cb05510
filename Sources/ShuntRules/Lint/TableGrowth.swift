import LuaSyntax

/// Where a file gives its tables keys that it never takes away: as far as that is sure.
struct TableGrowth {
    struct Write {
        var table: LuaVariable
        var key: LuaExpression
        var offset: Int
    }

    /// Of tables that lose no key, and where no bound is looked at.
    private(set) var writes: [Write] = []

    private let file: LuaAssignments
    /// Tables that lose keys, or may do so elsewhere.
    private var emptied: Set<ObjectIdentifier> = []
    /// Variables of the file that are counted up or down.
    private var counters: Set<ObjectIdentifier> = []

    /// Functions that take no key away from a table that they are given.
    private static let harmless: Set<String> = [
        "pairs", "ipairs", "next", "rawget", "rawset", "rawlen", "rawequal", "type", "tostring", "print", "select", "assert", "log", "json",
        "msgpack",
        "cbor", "table",
    ]

    init(_ tree: LuaTree, _ file: LuaAssignments) {
        self.file = file
        var statements: [LuaStatement] = []
        var calls: [LuaExpression] = []
        var functions: [LuaFunction] = []
        var walker = LintWalker()
        walker.statement = { one, _ in
            statements.append(one)
            switch one.kind {
            case .localFunction(_, let function), .function(_, let function, _): functions.append(function)
            default: break
            }
        }
        walker.expression = { one, _ in
            switch one.kind {
            case .suffixed: calls.append(one)
            case .function(let function): functions.append(function)
            default: break
            }
        }
        walker.walk(tree.body)
        for one in statements { add(one) }
        for one in calls { add(call: one) }
        let bounded = functions.reduce(into: Set<Int>()) { $0.formUnion(boundedWrites(in: $1)) }
        writes.removeAll { one in
            let value = file.value(of: one.table)
            let isPlain = if case .table? = value?.kind { true } else { false }
            return !isPlain || one.table.depth != 1 || emptied.contains(ObjectIdentifier(one.table)) || bounded.contains(one.offset)
        }
    }

    private mutating func add(_ one: LuaStatement) {
        guard case .assignment(let targets, let values) = one.kind else { return }
        for (index, target) in targets.enumerated() {
            // The last of a list may be a call that gives more values.
            guard index < values.count else { continue }
            if counts(target, values[index]), let counter = Self.root(target) { counters.insert(ObjectIdentifier(counter)) }
            guard case .suffixed(let base, let suffixes) = target.kind, suffixes.count == 1, case .index(let key) = suffixes[0].kind,
                let (table, path) = file.chain(of: base), path.isEmpty
            else { continue }
            if mayBeNil(values[index]) {
                emptied.insert(ObjectIdentifier(table))
            } else {
                writes.append(Write(table: table, key: key, offset: target.offset))
            }
        }
    }

    /// What is given the table itself may take keys away.
    private mutating func add(call: LuaExpression) {
        guard case .suffixed(_, let suffixes) = call.kind else { return }
        let global = call.ofGlobal
        for suffix in suffixes {
            let arguments: [LuaExpression]
            switch suffix.kind {
            case .call(let values), .method(_, let values): arguments = values
            case .field, .index: continue
            }
            if let global, Self.harmless.contains(global.name) {
                guard global.name == "rawset", arguments.count == 3, mayBeNil(arguments[2]) else { continue }
            }
            for argument in arguments {
                if let (table, path) = file.chain(of: argument), path.isEmpty { emptied.insert(ObjectIdentifier(table)) }
            }
        }
    }

    // MARK: bounds

    /// Whether it is `count = count + 1`, also of a field.
    private func counts(_ target: LuaExpression, _ value: LuaExpression) -> Bool {
        guard case .operations(let first, let rest) = value.kind, rest[0].sign == "+" || rest[0].sign == "-", let counter = Self.root(target) else {
            return false
        }
        return Self.root(first) === counter
    }

    /// Of `count`, and of `state.count`.
    private static func root(_ value: LuaExpression) -> LuaVariable? {
        switch value.kind {
        case .name(let name): return name.variable
        case .suffixed(let base, let suffixes):
            guard suffixes.count == 1, case .field = suffixes[0].kind else { return nil }
            return root(base)
        default: return nil
        }
    }

    /// Where a function that compares a count, or the table's size, gives tables keys.
    private func boundedWrites(in function: LuaFunction) -> [Int] {
        var compared: Set<ObjectIdentifier> = []
        var walker = LintWalker()
        walker.expression = { one, _ in
            guard case .operations(let first, let rest) = one.kind,
                rest.contains(where: { ["<", ">", "<=", ">=", "==", "~="].contains($0.sign) })
            else { return }
            for operand in [first] + rest.map(\.right) { compared.formUnion(sizes(in: operand)) }
        }
        walker.walk(function.body)
        let isCounted = !compared.isDisjoint(with: counters)
        let targets = Set(writes.filter { isCounted || compared.contains(ObjectIdentifier($0.table)) }.map(\.offset))
        var found: [Int] = []
        walker = LintWalker()
        walker.expression = { one, _ in if targets.contains(one.offset) { found.append(one.offset) } }
        walker.walk(function.body)
        return found
    }

    /// The variables whose value, or length, a value is, or what a function of the file makes of them.
    private func sizes(in value: LuaExpression) -> [ObjectIdentifier] {
        switch value.kind {
        case .parenthesis(let inner), .unary("#", let inner): return sizes(in: inner)
        default:
            if let (_, arguments, _) = file.call(value) { return arguments.flatMap(sizes) }
            return Self.root(value).map { [ObjectIdentifier($0)] } ?? []
        }
    }

    // MARK: nil

    private func mayBeNil(_ value: LuaExpression, depth: Int = 0) -> Bool {
        guard depth < 4 else { return true }
        switch value.kind {
        case .null: return true
        case .parenthesis(let inner): return mayBeNil(inner, depth: depth + 1)
        case .name(let name):
            guard let variable = name.variable, variable.kind == .local else { return false }
            guard !file.undefined.contains(ObjectIdentifier(variable)), let values = file.values[ObjectIdentifier(variable)] else { return true }
            return values.contains { $0.map { mayBeNil($0, depth: depth + 1) } ?? false }
        case .operations(let first, let rest):
            var result = mayBeNil(first, depth: depth + 1)
            for one in rest {
                switch one.sign {
                case "and": result = result || mayBeNil(one.right, depth: depth + 1)
                case "or": result = mayBeNil(one.right, depth: depth + 1)
                default: result = false
                }
            }
            return result
        case .suffixed(_, let suffixes):
            guard let (function, _, count) = file.call(value), count == suffixes.count else { return false }
            return mayReturnNil(function, depth: depth + 1)
        default: return false
        }
    }

    private func mayReturnNil(_ function: LuaFunction, depth: Int) -> Bool {
        var result = !function.body.alwaysReturns
        var walker = LintWalker()
        walker.statement = { one, inner in
            guard inner == 0, case .returned(let values) = one.kind else { return }
            result = result || values.first.map { mayBeNil($0, depth: depth) } ?? true
        }
        walker.walk(function.body)
        return result
    }
}
