import LuaSyntax

/// What a hook does with its message: what it sends past the rules below, and what it changes. Locals are followed, and the functions of the
/// file that the hook calls.
struct MessageFlow {
    /// What a value is to the rules below.
    private struct Held: OptionSet {
        let rawValue: Int
        /// The message, or a copy with its payload.
        static let message = Held(rawValue: 1)
        /// The same under its own topic, whose rules do not see it again.
        static let own = Held(rawValue: 2)
        /// A list with such a one in it.
        static let list = Held(rawValue: 4)
        static let all: Held = [.message, .own, .list]
    }

    /// What is known where a function is read.
    private struct Scope {
        /// What its parameters are given, and those of the hook that calls it.
        var given: [ObjectIdentifier: Held]
        /// Of variables; one that is being looked at counts as all, and keeps what its other values are.
        var known: [ObjectIdentifier: Held] = [:]
        var isCalled = false
    }

    /// The words, and where.
    private(set) var copies: [(what: String, offset: Int)] = []
    /// What carries the message's payload to a topic that is written out.
    private(set) var elsewhere: [(what: String, topic: String, offset: Int)] = []
    /// It gives messages another payload.
    private(set) var rewrites = false
    private let file: LuaAssignments
    /// A will that is sent under its own topic meets the rules of that topic.
    private let isWill: Bool

    init(of function: LuaFunction, in file: LuaAssignments, isWill: Bool = false) {
        (self.file, self.isWill) = (file, isWill)
        var given: [ObjectIdentifier: Held] = [:]
        if let message = function.parameters.first { given[ObjectIdentifier(message)] = [.message, .own] }
        read(function, Scope(given: given))
    }

    private mutating func read(_ function: LuaFunction, _ scope: Scope) {
        var scope = scope
        var all: [LuaExpression] = []
        var walker = LintWalker()
        walker.expression = { one, _ in all.append(one) }
        walker.walk(function.body)
        for one in all {
            if let verdict = RuleEffects.verdict(one) { read(verdict, one.offset, &scope) }
            if !scope.isCalled, let (function, arguments, _) = file.call(one) { read(function, inner(function, arguments, &scope)) }
            guard case .suffixed(_, let suffixes) = one.kind, case .method(let name, let arguments)? = suffixes.last?.kind else { continue }
            if name == "emit", !isWill, let sent = arguments.first {
                if held(sent, &scope).contains(.own) { add("ctx:emit", one.offset) }
                addMoved(sent, "ctx:emit", one.offset, &scope)
            }
            guard name == "with" else { continue }
            if let changes = arguments.first, file.keys(of: changes).names.contains("payload") { rewrites = true }
        }
    }

    private mutating func read(_ verdict: (name: String, arguments: [LuaExpression]), _ offset: Int, _ scope: inout Scope) {
        switch verdict.name {
        case "done": add("route.done()", offset)
        case "push", "chat":
            if verdict.arguments.count < 2 || held(verdict.arguments[1], &scope).contains(.message) { add("route.\(verdict.name)", offset) }
        case "fanout":
            if !isWill, let list = verdict.arguments.first {
                if held(list, &scope).contains(.list) { add("route.fanout", offset) }
                if case .table(let fields) = list.kind { for field in fields { addMoved(field.value, "route.fanout", field.value.offset, &scope) } }
            }
        case "to":
            guard let topic = verdict.arguments.first.flatMap(text) else { return }
            let isCarried = verdict.arguments.count < 2 || carries(verdict.arguments[1], &scope)
            if isCarried { add("route.to", to: topic, offset) }
        case "message":
            guard let fields = verdict.arguments.first, let topic = value("topic", in: fields).flatMap(text) else { return }
            if value("payload", in: fields).map({ isPayload($0, &scope) }) == true { add("route.message", to: topic, offset) }
        default: break
        }
    }

    /// A copy under another topic. One that the hook returns takes the message's place, and the rules below see it.
    private mutating func addMoved(_ value: LuaExpression, _ what: String, _ offset: Int, _ scope: inout Scope) {
        let held = held(value, &scope)
        guard held.contains(.message), !held.contains(.own), case .suffixed(_, let suffixes) = constant(value).kind,
            case .method("with", let arguments)? = suffixes.last?.kind,
            let topic = arguments.first.flatMap({ self.value("topic", in: $0) }).flatMap(text)
        else { return }
        add(what, to: topic, offset)
    }

    private mutating func add(_ what: String, to topic: String, _ offset: Int) {
        if !isWill, !elsewhere.contains(where: { $0.offset == offset }) { elsewhere.append((what, topic, offset)) }
    }

    /// Whether a message has the payload of the hook's own.
    private func carries(_ value: LuaExpression, _ scope: inout Scope) -> Bool {
        if held(value, &scope).contains(.message) { return true }
        guard let verdict = RuleEffects.verdict(constant(value)), verdict.name == "message", let fields = verdict.arguments.first else {
            return false
        }
        return self.value("payload", in: fields).map { isPayload($0, &scope) } ?? false
    }

    private func isPayload(_ value: LuaExpression, _ scope: inout Scope) -> Bool {
        guard case .suffixed(let base, let suffixes) = constant(value).kind, suffixes.count == 1, case .field("payload") = suffixes[0].kind else {
            return false
        }
        return held(base, &scope).contains(.message)
    }

    /// What a local stands for that is given one value.
    private func constant(_ value: LuaExpression) -> LuaExpression {
        guard case .name(let name) = value.kind else { return value }
        return name.variable.flatMap(file.value(of:)) ?? value
    }

    private func text(_ value: LuaExpression) -> String? { if case .text(let text) = constant(value).kind { text } else { nil } }

    /// Of a table that is written out.
    private func value(_ key: String, in table: LuaExpression) -> LuaExpression? {
        guard case .table(let fields) = constant(table).kind else { return nil }
        return fields.last { if case .name(key) = $0.key { true } else { false } }?.value
    }

    private mutating func add(_ what: String, _ offset: Int) {
        if !copies.contains(where: { $0.offset == offset }) { copies.append((what, offset)) }
    }

    private func inner(_ function: LuaFunction, _ arguments: [LuaExpression], _ scope: inout Scope) -> Scope {
        var inner = Scope(given: scope.given, isCalled: true)
        for (parameter, argument) in zip(function.parameters, arguments) { inner.given[ObjectIdentifier(parameter)] = held(argument, &scope) }
        return inner
    }

    // MARK: values

    private func held(_ value: LuaExpression, _ scope: inout Scope) -> Held {
        switch value.kind {
        case .name(let name): return name.variable.map { held($0, &scope) } ?? []
        case .parenthesis(let inner): return held(inner, &scope)
        case .table(let fields): return fields.contains { held($0.value, &scope).contains(.own) } ? .list : []
        case .suffixed(let base, let suffixes):
            if !scope.isCalled, let (function, arguments, count) = file.call(value), suffixes.count == count {
                var inner = inner(function, arguments, &scope)
                return returned(by: function, &inner)
            }
            var result = held(base, &scope)
            for suffix in suffixes {
                guard case .method("with", let arguments) = suffix.kind else { return [] }
                result = copy(of: result, arguments)
            }
            return result
        default: return []
        }
    }

    private func held(_ variable: LuaVariable, _ scope: inout Scope) -> Held {
        let id = ObjectIdentifier(variable)
        if let known = scope.known[id] { return known }
        scope.known[id] = .all
        let values = file.values[id] ?? []
        var result = scope.given[id] ?? (values.isEmpty ? [] : .all)
        for value in values { result.formIntersection(value.map { held($0, &scope) } ?? []) }
        if file.elements[id]?.contains(where: { held($0, &scope).contains(.own) }) == true { result.insert(.list) }
        scope.known[id] = result
        return result
    }

    /// A copy with another payload is none of the message's, nor is one of whose changes nothing is known.
    private func copy(of held: Held, _ arguments: [LuaExpression]) -> Held {
        guard held.contains(.message), let changes = arguments.first else { return [] }
        let (names, areAll) = file.keys(of: changes)
        guard areAll, !names.contains("payload") else { return [] }
        return names.contains("topic") ? .message : held.intersection([.message, .own])
    }

    /// What all of a function's results are, but nil.
    private func returned(by function: LuaFunction, _ scope: inout Scope) -> Held {
        var results: [LuaExpression] = []
        var walker = LintWalker()
        walker.statement = { one, depth in
            guard depth == 0, case .returned(let values) = one.kind, let value = values.first else { return }
            if case .null = value.kind { return }
            results.append(value)
        }
        walker.walk(function.body)
        var all: Held = results.isEmpty ? [] : .all
        for result in results { all.formIntersection(held(result, &scope)) }
        return all
    }
}
