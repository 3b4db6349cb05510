import LuaSyntax

/// What the API's objects have: fields, methods with a colon, functions of libraries with a dot, keys of the tables that they take.
struct ShapeChecks {
    private(set) var file: LintFile
    private var types: [ObjectIdentifier: String] = [:]
    private var assigned: Set<Int> = []

    /// Classes that take any name, or whose fields a rule may set.
    private static let open: Set<String> = ["shunt.Properties", "shunt.Filter", "shunt.Will", "shunt.Rule", "shunt.Verdict"]

    /// How rules name the objects whose methods are given values.
    private static let written = ["shunt.Message": "msg", "shunt.Client": "conn", "shunt.Subscription": "sub", "shunt.Context": "ctx"]

    init(_ file: LintFile, _ outline: RuleOutline) {
        self.file = file
        for hook in outline.hooks {
            let wanted = RuleVocabulary.hookParameters[hook.name] ?? []
            for (parameter, type) in zip(hook.function?.parameters ?? [], wanted) where parameter.writes.isEmpty {
                types[ObjectIdentifier(parameter)] = type
            }
        }
        guard file.isTest else { return }
        for test in outline.keys + Self.tests(of: file.tree) {
            if let parameter = test.function?.parameters.first { types[ObjectIdentifier(parameter)] = "shunt.Test" }
        }
    }

    /// Tests are named by texts: `["what it promises"] = function(t)`.
    private static func tests(of tree: LuaTree) -> [RuleOutline.Key] {
        var found: [RuleOutline.Key] = []
        var walker = LintWalker()
        walker.expression = { expression, depth in
            guard depth == 0, case .table(let fields) = expression.kind else { return }
            for field in fields {
                guard case .value(let key) = field.key, case .text(let name) = key.kind, case .function(let function) = field.value.kind else {
                    continue
                }
                found.append(RuleOutline.Key(name: name, offset: field.offset, function: function))
            }
        }
        walker.walk(tree.body)
        return found
    }

    mutating func run() {
        var statements: [LuaStatement] = []
        var chains: [(LuaExpression, [LuaSuffix])] = []
        var order: [(statement: Int?, chain: Int?)] = []
        var walker = LintWalker()
        walker.statement = { one, _ in
            order.append((statements.count, nil))
            statements.append(one)
        }
        walker.expression = { one, _ in
            guard case .suffixed(let base, let suffixes) = one.kind else { return }
            order.append((nil, chains.count))
            chains.append((base, suffixes))
        }
        walker.walk(file.tree.body)
        for one in order {
            if let index = one.statement { learn(statements[index]) }
            if let index = one.chain { check(chains[index].0, chains[index].1) }
        }
    }

    /// The types of locals that are given one value.
    private mutating func learn(_ statement: LuaStatement) {
        switch statement.kind {
        case .local(let variables, let values):
            for (variable, value) in zip(variables, values) where variable.writes.isEmpty {
                if let type = type(of: value) { types[ObjectIdentifier(variable)] = type }
            }
        case .assignment(let targets, _):
            for target in targets {
                guard case .suffixed(let base, let suffixes) = target.kind, case .field(let name)? = suffixes.last?.kind,
                    let owner = type(of: base, suffixes.dropLast()), let shape = RuleVocabulary.classes[owner], !Self.open.contains(owner),
                    owner != "shunt.Outcome", owner != "shunt.Store", let last = suffixes.last
                else { continue }
                assigned.insert(last.offset)
                let canChange = shape.methods.contains { $0.name == "with" }
                file.find(
                    .error, .field, last.offset, "no field of a \(Self.shown(owner)) can be set",
                    help: canChange ? "return a copy: :with { \(name) = … }" : "keep it in a local of the rule")
            }
        case .call(let call): checkUse(of: call)
        default: break
        }
    }

    /// A verdict or a copy that is made and dropped: its `return` was forgotten.
    private mutating func checkUse(of call: LuaExpression) {
        guard !file.isTest, case .suffixed(let base, let suffixes) = call.kind, let last = suffixes.last else { return }
        if case .name(let name) = base.kind, name.variable == nil, name.text == "route", suffixes.count == 2, case .call = last.kind,
            case .field(let verdict) = suffixes[0].kind, RuleVocabulary.members(of: "route")?.functions.contains(verdict) == true
        {
            file.find(
                .warning, .unused, call.offset, "what route.\(verdict) makes is not used: nothing comes of it",
                help: "return it, or send it besides with ctx:emit")
        } else if case .method("with", _) = last.kind, type(of: base, suffixes.dropLast()) != nil {
            file.find(.warning, .unused, call.offset, "the copy that :with makes is not used: nothing changes", help: "return it")
        }
    }

    static func shown(_ type: String) -> String { type.split(separator: ".").last.map { $0.lowercased() } ?? type }

    // MARK: types

    private func type(of value: LuaExpression) -> String? {
        switch value.kind {
        case .name(let name): name.variable.flatMap { types[ObjectIdentifier($0)] }
        case .parenthesis(let inner): type(of: inner)
        case .suffixed(let base, let suffixes): type(of: base, suffixes[...])
        default: nil
        }
    }

    private func type(of base: LuaExpression, _ suffixes: ArraySlice<LuaSuffix>) -> String? {
        if case .name(let name) = base.kind, name.variable == nil { return globalType(name.text, suffixes) }
        var owner = type(of: base)
        var index = suffixes.startIndex
        while index < suffixes.endIndex, let current = owner, let shape = RuleVocabulary.classes[current] {
            switch suffixes[index].kind {
            case .field(let name): owner = shape.fields.first { RuleVocabulary.plain($0.name) == name }.map { RuleVocabulary.type($0.type) }
            case .method(let name, _): owner = shape.methods.first { $0.name == name }?.returns.first.map(RuleVocabulary.type)
            case .index, .call: return nil
            }
            index += 1
        }
        return index == suffixes.endIndex ? owner.flatMap { RuleVocabulary.classes[$0] == nil ? nil : $0 } : nil
    }

    private func globalType(_ name: String, _ suffixes: ArraySlice<LuaSuffix>) -> String? {
        guard let last = suffixes.last, case .call = last.kind else { return nil }
        if suffixes.count == 1 { return RuleVocabulary.functions[name]?.returns.first.map(RuleVocabulary.type) }
        guard suffixes.count == 2, let first = suffixes.first, case .field(let function) = first.kind else { return nil }
        return RuleVocabulary.libraries[name]?.functions.first { $0.name == function }?.returns.first.map(RuleVocabulary.type)
    }

    // MARK: uses

    private mutating func check(_ base: LuaExpression, _ suffixes: [LuaSuffix]) {
        if case .name(let name) = base.kind, name.variable == nil {
            checkLibrary(name, suffixes)
            return
        }
        for index in suffixes.indices {
            guard let owner = type(of: base, suffixes[..<index]), let shape = RuleVocabulary.classes[owner] else { continue }
            checkMember(suffixes, index, owner, shape, base)
        }
    }

    private mutating func checkMember(
        _ suffixes: [LuaSuffix], _ index: Int, _ owner: String, _ shape: LuaDefinitions.Class, _ base: LuaExpression
    ) {
        let suffix = suffixes[index]
        let fields = shape.fields.map { RuleVocabulary.plain($0.name) }
        let methods = shape.methods.map(\.name)
        let what = Self.shown(owner)
        switch suffix.kind {
        case .field(let name):
            guard !Self.open.contains(owner), !fields.contains(name), !assigned.contains(suffix.offset) else { return }
            if methods.contains(name) {
                guard index + 1 < suffixes.count, case .call(let arguments) = suffixes[index + 1].kind else { return }
                if case .name(let first)? = arguments.first?.kind, case .name(let this) = base.kind, first.variable === this.variable { return }
                file.find(.error, .colon, suffix.offset, "\(name) is called with a dot", help: "with a colon: :\(name)")
            } else if owner != "shunt.Outcome" || LintFile.isMisspelt(name, of: fields) {
                file.find(.error, .field, suffix.offset, "a \(what) has no field \(name)", help: LintFile.meant(name, in: fields + methods))
            }
        case .method(let name, let arguments):
            if let method = shape.methods.first(where: { $0.name == name }) {
                checkArguments(arguments, method, of: Self.written[owner] ?? "")
            } else if fields.contains(name) {
                file.find(.error, .colon, suffix.offset, "\(name) is a field of a \(what), and no method", help: "with a dot: .\(name)")
            } else if !Self.open.contains(owner) || methods.isEmpty {
                file.find(.error, .field, suffix.offset, "a \(what) has no method \(name)", help: LintFile.meant(name, in: methods + fields))
            }
        case .index, .call: break
        }
    }

    private mutating func checkLibrary(_ library: LuaName, _ suffixes: [LuaSuffix]) {
        guard let first = suffixes.first else { return }
        if case .call(let arguments) = first.kind, let function = RuleVocabulary.functions[library.text] {
            checkArguments(arguments, function, of: "")
        }
        guard let members = RuleVocabulary.members(of: library.text) else { return }
        switch first.kind {
        case .field(let name):
            guard !members.functions.contains(name), !members.fields.contains(name) else {
                if suffixes.count > 1, case .call(let arguments) = suffixes[1].kind,
                    let function = RuleVocabulary.libraries[library.text]?.functions.first(where: { $0.name == name })
                {
                    checkArguments(arguments, function, of: library.text, dot: ".")
                }
                return
            }
            let what = library.text == "route" ? "there is no verdict route.\(name)" : "\(library.text) has no \(name)"
            file.find(.error, .library, first.offset, what, help: LintFile.meant(name, in: members.functions.union(members.fields)))
        case .method(let name, _):
            let isKnown = members.functions.contains(name)
            file.find(
                .error, isKnown ? .colon : .library, first.offset,
                isKnown ? "\(library.text).\(name) is called with a colon" : "\(library.text) has no \(name)",
                help: isKnown ? "with a dot: \(library.text).\(name)" : LintFile.meant(name, in: members.functions))
        case .index, .call: break
        }
    }

    /// The keys of tables that are written out as arguments, and values that are.
    /// - Parameter owner: as rules write it: `msg`, `route`.
    private mutating func checkArguments(_ arguments: [LuaExpression], _ function: LuaDefinitions.Function, of owner: String, dot: String = ":") {
        let what = owner.isEmpty ? function.name : owner + dot + function.name
        let isCopy = function.name == "with" || function.name == "message"
        let isChecked = !file.isTest && (isCopy || Self.literal.contains(owner) || function.name == "match")
        for (argument, parameter) in zip(arguments, function.parameters) {
            if isChecked, let colon = parameter.firstIndex(of: ":") {
                let name = RuleVocabulary.plain(String(parameter[..<colon]))
                check(argument, what, name, String(parameter[parameter.index(after: colon)...]), publishes: function.name != "match")
            }
            guard case .table(let fields) = argument.kind, let keys = RuleVocabulary.keys(ofParameter: parameter) else { continue }
            for field in fields {
                guard case .name(let name) = field.key else { continue }
                guard let type = keys[name] else {
                    file.find(.error, .arguments, field.offset, "\(function.name) does not take \(name)", help: LintFile.meant(name, in: keys.keys))
                    continue
                }
                if isChecked { check(field.value, isCopy ? what + "{}" : what, name, type, publishes: owner != "sub") }
            }
        }
    }

    /// Of these, arguments must be of the types that the API's table names.
    private static let literal: Set<String> = ["route", "ctx"]

    private mutating func check(_ value: LuaExpression, _ what: String, _ name: String, _ type: String, publishes: Bool) {
        guard let problem = LiteralChecks.problem(value, what, name, type, publishes: publishes) else { return }
        file.find(.error, .arguments, problem.offset, problem.message, help: problem.help)
    }
}

extension LintFile {
    /// Whether a name is near one of these, and none of them.
    static func isMisspelt(_ name: String, of names: [String]) -> Bool { name.utf8.count > 2 && meant(name, in: names).hasPrefix("did you mean") }
}
