import LuaSyntax

/// Uses of what the API has: fields, methods, what is set, what is made and dropped.
extension ShapeChecks {
    mutating func check(_ statement: LuaStatement) {
        switch statement.kind {
        case .assignment(let targets, _):
            for target in targets {
                guard case .suffixed(let base, let suffixes) = target.kind, let last = suffixes.last, let name = Self.fieldName(last),
                    let owner = type(of: base, suffixes.dropLast()), isClosed(owner)
                else { continue }
                assigned.insert(last.offset)
                let canChange = RuleVocabulary.classes[owner]?.methods.contains { $0.name == "with" } ?? false
                file.find(
                    .error, .field, last.offset, "no field of \(Self.one(owner)) can be set",
                    help: canChange ? "return a copy: :with { \(name) = … }" : "keep it in a local of the rule")
            }
        case .call(let call): checkUse(of: call)
        default: break
        }
    }

    /// Whether nobody may set a field of it.
    private func isClosed(_ owner: String) -> Bool {
        if Self.scalars.contains(owner) { return true }
        return RuleVocabulary.classes[owner] != nil && !Self.open.contains(owner) && !Self.settable.contains(owner) && owner != "shunt.Outcome"
            && owner != "shunt.Store"
    }

    private static let scalars: Set<String> = ["string", "number", "integer", "boolean"]

    /// Of `.name`, and of `["name"]`.
    static func fieldName(_ suffix: LuaSuffix) -> String? {
        switch suffix.kind {
        case .field(let name): return name
        case .index(let key): if case .text(let name) = key.kind { return name } else { return nil }
        case .call, .method: return nil
        }
    }

    /// A verdict or a copy that is made and dropped: its `return` was forgotten.
    private mutating func checkUse(of call: LuaExpression) {
        guard !file.isTest, case .suffixed(let base, let suffixes) = call.kind, let last = suffixes.last else { return }
        if let verdict = RuleEffects.verdict(call)?.name, RuleVocabulary.verdicts.contains(verdict) {
            file.find(
                .warning, .unused, call.offset, "what route.\(verdict) makes is not used: nothing comes of it",
                help: "return it, or send it besides with ctx:emit")
        } else if case .method("with", _) = last.kind, type(of: base, suffixes.dropLast()) != nil {
            file.find(.warning, .unused, call.offset, "the copy that :with makes is not used: nothing changes", help: "return it")
        }
    }

    // MARK: chains

    mutating func check(_ base: LuaExpression, _ suffixes: [LuaSuffix]) {
        if let (library, offset, fields) = base.ofGlobal { checkLibrary(library, at: offset, fields + suffixes) }
        for (index, owner) in owners(base, suffixes[...]).dropLast().enumerated() {
            guard let owner else { continue }
            if let shape = RuleVocabulary.classes[owner] {
                checkMember(suffixes, index, owner, shape, base)
            } else if Self.scalars.contains(owner) {
                checkScalar(suffixes, index, owner, base)
            }
        }
    }

    private mutating func checkMember(
        _ suffixes: [LuaSuffix], _ index: Int, _ owner: String, _ shape: LuaDefinitions.Class, _ base: LuaExpression
    ) {
        let suffix = suffixes[index]
        let fields = shape.fields.map { RuleVocabulary.plain($0.name) }
        let methods = shape.methods.map(\.name)
        let what = Self.one(owner)
        if let name = Self.fieldName(suffix) {
            guard !Self.open.contains(owner), !fields.contains(name), !assigned.contains(suffix.offset) else { return }
            guard !Self.settable.contains(owner) || !fieldsSet.contains(name) else { return }
            if methods.contains(name) {
                guard index + 1 < suffixes.count, case .call(let arguments) = suffixes[index + 1].kind else { return }
                if case .name(let first)? = arguments.first?.kind, case .name(let this) = base.kind, first.variable === this.variable { return }
                file.find(.error, .colon, suffix.offset, "\(name) is called with a dot", help: "with a colon: :\(name)")
            } else if owner != "shunt.Outcome" || LintFile.isMisspelt(name, of: fields) {
                file.find(.error, .field, suffix.offset, "\(what) has no field \(name)", help: Self.meant(name, of: owner, fields + methods))
            }
        } else if case .method(let name, let arguments) = suffix.kind {
            if let method = shape.methods.first(where: { $0.name == name }) {
                checkArguments(arguments, method, of: Self.written[owner] ?? "", at: suffix.offset)
            } else if fields.contains(name) {
                file.find(.error, .colon, suffix.offset, "\(name) is a field of \(what), and no method", help: "with a dot: .\(name)")
            } else if !Self.open.contains(owner) || methods.isEmpty {
                file.find(.error, .field, suffix.offset, "\(what) has no method \(name)", help: Self.meant(name, of: owner, methods + fields))
            }
        }
    }

    /// What may be meant: a verdict that is no method, a status that others call a code, or what is spelt nearly so.
    private static func meant(_ name: String, of owner: String, _ names: [String]) -> String {
        if owner == "shunt.Message", RuleVocabulary.verdicts.contains(name) { return "return route.\(name)(…)" }
        if owner == "shunt.Response", name == "code" { return "did you mean status?" }
        return LintFile.meant(name, in: names)
    }

    /// Texts have Lua's `string` functions and no fields; numbers and booleans have neither.
    private mutating func checkScalar(_ suffixes: [LuaSuffix], _ index: Int, _ owner: String, _ base: LuaExpression) {
        let suffix = suffixes[index]
        guard !assigned.contains(suffix.offset) else { return }
        let what = Self.shown(owner)
        let functions = owner == "string" ? RuleVocabulary.standard["string"] ?? [] : []
        switch suffix.kind {
        case .method(let name, let arguments):
            guard !functions.contains(name) else {
                if index == 0, name == "format" { checkFormat(base) }
                return checkPattern(name, arguments, from: 0, at: suffix.offset)
            }
            var help = functions.isEmpty ? "tostring makes a text of it" : LintFile.meant(name, in: functions)
            if name == "json" { help = "msg:json() decodes a message's payload" }
            file.find(.error, .field, suffix.offset, "a \(what) has no method \(name)", help: help)
        case .field, .index:
            guard let name = Self.fieldName(suffix) else {
                guard case .index(let key) = suffix.kind, case .number = key.kind else { return }
                let help = owner == "string" ? ":sub(1, 1) is its first character" : nil
                return file.find(.error, .field, suffix.offset, "a \(what) has no elements", help: help)
            }
            if functions.contains(name) {
                guard index + 1 < suffixes.count, case .call(let arguments) = suffixes[index + 1].kind, !Self.isText(arguments, of: name) else {
                    return
                }
                return file.find(.error, .colon, suffix.offset, "\(name) is called with a dot", help: "with a colon: :\(name)")
            }
            let help = owner == "string" ? decoding(name, suffixes[..<index], base) : nil
            file.find(.error, .field, suffix.offset, "a \(what) has no field \(name)", help: help)
        case .call: break
        }
    }

    /// How many arguments Lua's functions of texts need, the text counted.
    private static let needed = ["find": 2, "format": 1, "gmatch": 2, "gsub": 3, "match": 2, "rep": 2, "sub": 2, "unpack": 2]

    /// Whether a function of texts that is called with a dot is given the text, too: what is written out is none.
    private static func isText(_ arguments: [LuaExpression], of name: String) -> Bool {
        guard let first = arguments.first, LiteralChecks.Literal(first) == nil else { return false }
        return arguments.count >= Self.needed[name] ?? 1
    }

    /// How a text's contents are read that somebody asks a field of.
    private func decoding(_ name: String, _ before: ArraySlice<LuaSuffix>, _ base: LuaExpression) -> String {
        if ["length", "size", "count"].contains(name) { return "# gives its length" }
        if before.count == 1, case .name(let owner) = base.kind, type(of: base) == "shunt.Message", case .field("payload")? = before.last?.kind {
            return "\(owner.text):json() decodes it"
        }
        return "msg:json() decodes a message's payload, json.decode another text"
    }

    // MARK: what hooks return

    /// A value whose type is known, and that is no verdict: `msg.payload`, a message's sender, `route.drop` without its call.
    mutating func checkResults(of hook: RuleOutline.Key) {
        guard let function = hook.function, let wanted = RuleVocabulary.hookResults[hook.name] else { return }
        var returned: [LuaExpression] = []
        var walker = LintWalker()
        walker.statement = { statement, depth in
            guard depth == 0, case .returned(let values) = statement.kind, let value = values.first else { return }
            returned.append(value)
        }
        walker.walk(function.body)
        let help = "nothing, " + LiteralChecks.told(wanted.filter { $0 != "nil" })
        let result = LiteralChecks.result(of: wanted)
        for value in returned {
            if isDecoded(value) {
                file.find(.error, .hook, value.offset, "\(hook.name) returns what was decoded, which is no \(result)", help: help)
                continue
            }
            checkTopic(of: value)
            guard case .suffixed(let base, let suffixes) = value.kind else {
                guard case .name = value.kind, let type = type(of: value), !fits(type, wanted) else { continue }
                file.find(.error, .hook, value.offset, "\(hook.name) returns \(Self.one(type)), which is no \(result)", help: help)
                continue
            }
            if case .name(let library) = base.kind, library.global == "route" {
                guard suffixes.count == 1, case .field(let name) = suffixes[0].kind, RuleVocabulary.verdicts.contains(name) else { continue }
                file.find(
                    .error, .hook, suffixes[0].offset, "\(hook.name) returns the function route.\(name), which is no \(result)",
                    help: "with parentheses: route.\(name)(…)")
            } else if let type = type(of: value), !fits(type, wanted) {
                file.find(.error, .hook, value.offset, "\(hook.name) returns \(Self.one(type)), which is no \(result)", help: help)
            }
        }
    }
}
