import LuaSyntax

/// What functions of the API are given.
extension ShapeChecks {
    mutating func checkLibrary(_ library: String, at offset: Int, _ suffixes: [LuaSuffix]) {
        guard let first = suffixes.first else { return }
        if case .call(let arguments) = first.kind {
            if let function = RuleVocabulary.functions[library] { checkArguments(arguments, function, of: "", at: offset) }
            if library == "match", !file.isTest { checkOrder(arguments, "match(topic, filter)", isSwapped: { $0.contains("+") || $0.contains("#") }) }
            checkLoop(library, arguments)
        }
        guard let members = RuleVocabulary.members(of: library) else { return }
        switch first.kind {
        case .field(let name):
            guard !added.contains("\(library).\(name)") else { return }
            guard !members.functions.contains(name), !members.fields.contains(name) else {
                guard suffixes.count > 1, case .call(let arguments) = suffixes[1].kind else { return }
                if let function = RuleVocabulary.function(name, of: library) {
                    checkArguments(arguments, function, of: library, dot: ".", at: first.offset)
                }
                checkTexts(library, name, arguments, at: first.offset)
                return
            }
            let what = library == "route" ? "there is no verdict route.\(name)" : "\(library) has no \(name)"
            file.find(.error, .library, first.offset, what, help: LintFile.meant(name, in: members.functions.union(members.fields)))
        case .method(let name, _):
            guard !added.contains("\(library).\(name)") else { return }
            let isKnown = members.functions.contains(name)
            file.find(
                .error, isKnown ? .colon : .library, first.offset,
                isKnown ? "\(library).\(name) is called with a colon" : "\(library) has no \(name)",
                help: isKnown ? "with a dot: \(library).\(name)" : LintFile.meant(name, in: members.functions))
        case .call where RuleVocabulary.functions[library] == nil && !RuleVocabulary.settingWords.contains(library):
            let names = members.functions.sorted().prefix(4).map { "\(library).\($0)" }
            let word = SettingTypeReader.others[library].map { "did you mean \($0), as a setting's type? " } ?? ""
            file.find(.error, .library, offset, "\(library) is no function", help: word + "it has " + names.joined(separator: ", "))
        case .index, .call: break
        }
    }

    /// What has no elements can't be gone through.
    private mutating func checkLoop(_ function: String, _ arguments: [LuaExpression]) {
        guard ["pairs", "ipairs", "next"].contains(function), let value = arguments.first, let type = type(of: value),
            ["string", "number", "integer", "boolean"].contains(type)
        else { return }
        file.find(
            .error, .arguments, value.offset, "\(function) is given \(Self.one(type))",
            help: type == "string" ? "a table, such as msg:json() makes of a payload" : "a table")
    }

    /// What Lua's own `string` functions and `re` are given.
    private mutating func checkTexts(_ library: String, _ name: String, _ arguments: [LuaExpression], at offset: Int) {
        if library == "string" {
            if let value = arguments.first, let type = type(of: value), Self.objects.contains(type) || type == "table", name != "char" {
                file.find(.error, .arguments, value.offset, "string.\(name) is given \(Self.one(type))", help: "a text, such as msg.payload")
            }
            checkPattern(name, arguments, from: 1, at: offset)
            if name == "format", let format = arguments.first { checkFormat(format) }
        }
        if ["json", "cbor", "msgpack"].contains(library), name == "encode", let value = arguments.first, let type = type(of: value),
            Self.objects.contains(type)
        {
            file.find(.error, .arguments, value.offset, "\(library).encode is given \(Self.one(type))", help: "a table of the fields that are wanted")
        }
        if library == "time", name == "format", arguments.count > 1, case .text(let pattern) = arguments[1].kind,
            let part = Self.unknownPart(of: pattern)
        {
            file.find(.error, .arguments, arguments[1].offset, "time.format: there is no \(part)", help: "there are %Y %m %d %H %M %S %w %%")
        }
        if library == "re", !file.isTest { checkOrder(arguments, "re.\(name)(text, pattern…)", isSwapped: { _ in false }) }
        guard library == "re", arguments.count > 1, case .text(let pattern) = arguments[1].kind, let why = RePattern.fault(of: pattern) else {
            return
        }
        let told = why.hasPrefix("re: ") ? String(why.dropFirst(4)) : why
        file.find(.error, .arguments, arguments[1].offset, "re.\(name): \(told)", help: "docs/rules.md, Library, says what re knows")
    }

    /// Of a time's pattern, the first conversion that there is not.
    private static func unknownPart(of pattern: String) -> String? {
        var rest = pattern[...]
        while let sign = rest.firstIndex(of: "%") {
            let after = rest.index(after: sign)
            guard after < rest.endIndex, "YmdHMSw%".contains(rest[after]) else { return String(rest[sign...].prefix(2)) }
            rest = rest[rest.index(after: after)...]
        }
        return nil
    }

    /// A pattern of Lua's that is written out.
    /// - Parameter from: where it stands among the arguments.
    mutating func checkPattern(_ name: String, _ arguments: [LuaExpression], from: Int, at offset: Int) {
        guard ["find", "match", "gmatch", "gsub"].contains(name), arguments.count > from, case .text(let pattern) = arguments[from].kind,
            name != "find" || arguments.count < from + 3, let why = LuaPattern.fault(of: pattern)
        else { return }
        file.find(
            .error, .arguments, arguments[from].offset, "\(name): the pattern \(why)",
            help: "% before a sign takes it as it is" + (name == "find" ? "; so does find(text, part, 1, true) with all of them" : ""))
    }

    /// A format of `string.format` that is written out.
    mutating func checkFormat(_ value: LuaExpression) {
        switch value.kind {
        case .parenthesis(let inner): checkFormat(inner)
        case .text(let text):
            guard let why = LuaFormat.fault(of: text) else { return }
            file.find(.error, .arguments, value.offset, "format: \(why)", help: "there are " + LuaFormat.known)
        default: break
        }
    }

    /// The keys of tables that are written out as arguments, and values that are.
    /// - Parameter owner: as rules write it: `msg`, `route`.
    mutating func checkArguments(
        _ arguments: [LuaExpression], _ function: LuaDefinitions.Function, of owner: String, dot: String = ":", at offset: Int
    ) {
        let what = owner.isEmpty ? function.name : owner + dot + function.name
        let isCopy = function.name == "with" || function.name == "message"
        checkCount(arguments, function, what, at: offset)
        if !file.isTest { checkSent(arguments, what) }
        for (argument, parameter) in zip(arguments, function.parameters) {
            if !file.isTest, let colon = parameter.firstIndex(of: ":") {
                let name = RuleVocabulary.plain(String(parameter[..<colon]))
                let type = String(parameter[parameter.index(after: colon)...])
                // A message as it stands passes, as nothing does.
                if what == "route.always", case .name = argument.kind { continue }
                let isExact = isCopy || Self.literal.contains(owner) || function.name == "match"
                guard isExact || owner != "log" && !Self.converts(argument, type) else { continue }
                check(argument, what, name, type, publishes: function.name != "match")
            }
            guard case .table(let fields) = argument.kind, let keys = RuleVocabulary.keys(ofParameter: parameter) else { continue }
            for field in fields {
                guard case .name(let name) = field.key else { continue }
                guard let type = keys[name] else {
                    file.find(.error, .arguments, field.offset, "\(function.name) does not take \(name)", help: LintFile.meant(name, in: keys.keys))
                    continue
                }
                guard !file.isTest, isCopy || Self.literal.contains(owner) else { continue }
                check(field.value, isCopy ? what + "{}" : what, name, type, publishes: owner != "sub")
                checkKeys(of: field.value, what, name, type)
                if isCopy, name == "payload" { checkEncoded(field.value, what) }
            }
        }
    }

    /// A table in a table: `limits = { messages_per_second = 10 }`.
    private mutating func checkKeys(of value: LuaExpression, _ what: String, _ name: String, _ type: String) {
        guard case .table(let fields) = value.kind, let keys = RuleVocabulary.keys(ofParameter: "\(name):\(type)") else { return }
        for field in fields {
            guard case .name(let key) = field.key else { continue }
            guard let type = keys[key] else {
                file.find(.error, .arguments, field.offset, "\(name) does not take \(key)", help: LintFile.meant(key, in: keys.keys))
                continue
            }
            check(field.value, "\(what){}: \(name)", key, type, publishes: false)
        }
    }

    /// What is missing, where no call at the end may give more.
    private mutating func checkCount(_ arguments: [LuaExpression], _ function: LuaDefinitions.Function, _ what: String, at offset: Int) {
        switch arguments.last?.kind {
        case .varargs: return
        case .suffixed(_, let suffixes) where suffixes.last?.isCall == true: return
        default: break
        }
        guard what != "json.array" else { return }
        let parts = function.parameters.map { $0.split(separator: ":", maxSplits: 1) }
        guard parts.count > arguments.count,
            let missing = parts[arguments.count...].first(where: { part in
                guard part.count == 2, part[0].last != "?" else { return false }
                let types = LiteralChecks.union(part[1])
                return !types.contains("any") && !types.contains("nil")
            })
        else { return }
        let names = parts.map { String($0[0]) }.joined(separator: ", ")
        file.find(.error, .arguments, offset, "\(what) is not given its \(missing[0])", help: "\(what)(\(names))")
    }

    /// What was decoded goes out encoded again.
    private mutating func checkEncoded(_ value: LuaExpression, _ what: String) {
        guard isDecoded(value) else { return }
        if case .name(let name) = value.kind, let variable = name.variable, asked.contains(ObjectIdentifier(variable)) { return }
        file.find(
            .warning, .arguments, value.offset, "\(what){}: payload is what was decoded, which is no text", help: "json.encode makes a text of it")
    }

    // MARK: values

    /// Of these, arguments must be of the types that the API's table names; others take numbers for texts, and the reverse.
    private static let literal: Set<String> = ["route", "ctx"]

    /// Classes whose objects are nothing else: no table, no text.
    static let objects: Set<String> = [
        "shunt.Message", "shunt.Client", "shunt.Subscription", "shunt.Context", "shunt.Verdict", "shunt.Counter", "shunt.Chat",
    ]

    private static func converts(_ value: LuaExpression, _ type: String) -> Bool {
        let types = LiteralChecks.union(type)
        switch LiteralChecks.Literal(value) {
        case .number?: return types.contains("string")
        case .text?: return types.contains("number") || types.contains("integer")
        default: return false
        }
    }

    /// Whether a value of a type may be one of these; yes where that is not sure.
    func fits(_ given: String, _ wanted: [String]) -> Bool {
        if wanted.contains(where: { $0 == "any" || $0 == given }) { return true }
        switch given {
        case "string": return wanted.contains { $0 == "number" || $0 == "integer" || $0.hasPrefix("\"") }
        case "number", "integer": return wanted.contains { $0 == "number" || $0 == "integer" || $0 == "string" || Int($0) != nil }
        case "boolean": return wanted.contains { $0 == "true" || $0 == "false" }
        case _ where given == "table" || given.hasSuffix("[]"):
            return wanted.contains { $0 == "table" || $0.hasPrefix("{") || $0.hasPrefix("table<") || $0.hasSuffix("[]") || $0 == "shunt.Filter" }
        default: return !Self.objects.contains(given)
        }
    }

    private mutating func check(_ value: LuaExpression, _ what: String, _ name: String, _ type: String, publishes: Bool) {
        if let problem = LiteralChecks.problem(value, what, name, type, publishes: publishes) {
            file.find(.error, .arguments, problem.offset, problem.message, help: problem.help)
            return
        }
        let types = LiteralChecks.union(type)
        if LiteralChecks.Literal(value) == nil, let given = self.type(of: value), !fits(given, types) {
            let isSent = what != "route.always"
            let help = name == "payload" ? "a text, such as json.encode makes of a table" : LiteralChecks.told(types, isSent: isSent)
            file.find(.error, .arguments, value.offset, "\(what): \(name) is \(Self.one(given))", help: help)
        }
        guard case .table(let fields) = value.kind, type.contains("shunt."), let list = types.first(where: { $0.hasSuffix("[]") }) else { return }
        let elements = LiteralChecks.union(list.dropLast(2).drop { $0 == "(" || $0 == " " }.prefix { $0 != ")" })
        for field in fields {
            guard case .position = field.key else { continue }
            let literal = LiteralChecks.Literal(field.value)
            let isRight = literal.map { $0.fits(elements) } ?? self.type(of: field.value).map { fits($0, elements) } ?? true
            guard !isRight else { continue }
            let shown = literal?.shown ?? self.type(of: field.value).map(Self.one) ?? "a value"
            file.find(.error, .arguments, field.offset, "\(what): an element is \(shown)", help: LiteralChecks.told(elements))
        }
    }
}
