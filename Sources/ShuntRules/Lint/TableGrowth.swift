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

    let file: LuaAssignments
    /// Tables that lose keys, or may do so elsewhere.
    private var emptied: Set<ObjectIdentifier> = []
    /// Variables of the file that are counted up or down.
    private var counters: Set<ObjectIdentifier> = []

    /// The parameters whose values are seen.
    private let parameters: [ObjectIdentifier: LintCalls.Parameter]
    /// Variables of loops that may be nil.
    private var unsure: Set<ObjectIdentifier> = []

    init(_ tree: LuaTree, _ outline: RuleOutline, _ file: LuaAssignments) {
        self.file = file
        parameters = LintCalls(tree, outline).parameters.reduce(into: [:]) { $0[ObjectIdentifier($1.variable)] = $1 }
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
        emptied.formUnion(file.handedOn)
        let bounded = functions.reduce(into: lookedUpWrites(in: tree.body)) { $0.formUnion(boundedWrites(in: $1)) }
        writes.removeAll { one in
            let value = file.value(of: one.table)
            let isPlain = if case .table? = value?.kind { true } else { false }
            return !isPlain || one.table.depth != 1 || emptied.contains(ObjectIdentifier(one.table)) || bounded.contains(one.offset)
        }
    }

    private mutating func add(_ one: LuaStatement) {
        if case .generic(let variables, let values, _) = one.kind, !Self.givesAll(values.first) {
            unsure.formUnion(variables.dropFirst().map(ObjectIdentifier.init))
        }
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

    private mutating func add(call: LuaExpression) {
        guard let (name, _, suffixes) = call.ofGlobal, name == "rawset", case .call(let arguments)? = suffixes.first?.kind, arguments.count == 3,
            mayBeNil(arguments[2]), let (table, path) = file.chain(of: arguments[0]), path.isEmpty
        else { return }
        emptied.insert(ObjectIdentifier(table))
    }

    /// Whether a loop's iterator gives a value with each key.
    private static func givesAll(_ iterator: LuaExpression?) -> Bool {
        if case .suffixed(_, let suffixes)? = iterator?.kind, case .method("gmatch", _)? = suffixes.last?.kind { return true }
        guard let (name, _, _) = iterator?.ofGlobal else { return false }
        return ["pairs", "ipairs", "next", "string", "utf8"].contains(name)
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

    /// Where a function that compares a count, or the table's size, gives tables keys; what it calls may do so for it.
    private func boundedWrites(in function: LuaFunction) -> [Int] {
        let all = writes.reduce(into: [:]) { $0[$1.offset] = ObjectIdentifier($1.table) }
        var found: [Int] = []
        var walker = LintWalker()
        walker.expression = { one, _ in if all[one.offset] != nil { found.append(one.offset) } }
        walker.walk(function.body)
        guard !found.isEmpty else { return [] }
        var seen: Set<ObjectIdentifier> = []
        let compared = compared(in: function, &seen)
        let isCounted = !compared.isDisjoint(with: counters)
        return found.filter { offset in isCounted || all[offset].map(compared.contains) == true }
    }

    /// The variables whose value, or length, a function compares, or gives to a function that is not seen.
    private func compared(in function: LuaFunction, _ seen: inout Set<ObjectIdentifier>) -> Set<ObjectIdentifier> {
        guard seen.insert(ObjectIdentifier(function)).inserted else { return [] }
        var compared: Set<ObjectIdentifier> = []
        var called: [LuaFunction] = []
        var walker = LintWalker()
        walker.expression = { one, _ in
            switch one.kind {
            case .operations(let first, let rest):
                guard rest.contains(where: { ["<", ">", "<=", ">=", "==", "~="].contains($0.sign) }) else { return }
                for operand in [first] + rest.map(\.right) { compared.formUnion(sizes(in: operand)) }
            case .suffixed(_, let suffixes):
                if let (function, _, _) = file.call(one) { return called.append(function) }
                guard one.ofGlobal == nil else { return }
                for case .call(let arguments) in suffixes.map(\.kind) { compared.formUnion(arguments.flatMap(sizes)) }
            default: break
            }
        }
        walker.walk(function.body)
        for one in called { compared.formUnion(self.compared(in: one, &seen)) }
        return compared
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
            guard let variable = name.variable, variable.kind != .parameter else { return name.variable.map { mayBeNil($0, depth) } ?? false }
            guard variable.kind == .local else { return unsure.contains(ObjectIdentifier(variable)) }
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
            guard let (function, _, count) = file.call(value), count == suffixes.count else { return isOfOtherFile(value) }
            return mayReturnNil(function, depth: depth + 1)
        default: return false
        }
    }

    /// A parameter is nil where a call gives it nothing, or where not all of its calls are seen.
    private func mayBeNil(_ parameter: LuaVariable, _ depth: Int) -> Bool {
        guard let seen = parameters[ObjectIdentifier(parameter)] else { return true }
        return seen.types.contains("nil") || seen.values.contains { $0.map { mayBeNil($0, depth: depth + 1) } ?? true }
    }

    /// Whether it is what a function gives that the file does not have, and the API neither.
    private func isOfOtherFile(_ value: LuaExpression) -> Bool {
        guard value.ofGlobal == nil, case .suffixed(_, let suffixes) = value.kind, suffixes.last?.isCall == true,
            let (root, _) = file.chain(of: value)
        else { return false }
        return root.kind == .local
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
