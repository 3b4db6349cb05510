import LuaSyntax

/// Writes what a hook asks of its message, so that two rules that ask the same have the same text: whatever they call their variables.
struct GuardText {
    /// What a local stands for, and which value of that it is.
    private var meanings: [ObjectIdentifier: (value: LuaExpression, place: Int)] = [:]
    private var parameters: [ObjectIdentifier: Int] = [:]

    /// What gives the same for the same message, in whatever rule.
    private static let pure: Set<String> = [
        "type", "tonumber", "tostring", "match", "json", "msgpack", "cbor", "string", "utf8", "re", "hash", "base64",
    ]
    /// Deeper than that, no two people write the same.
    private static let deepest = 20

    init(_ function: LuaFunction) {
        for (index, parameter) in function.parameters.enumerated() where parameter.writes.isEmpty { parameters[ObjectIdentifier(parameter)] = index }
        for case .local(let variables, let values) in function.body.statements.map(\.kind) {
            for (index, variable) in variables.enumerated() where variable.writes.isEmpty {
                guard let last = values.indices.last else { continue }
                meanings[ObjectIdentifier(variable)] = (values[min(index, last)], max(index - last, 0))
            }
        }
    }

    /// The text of a condition: `msg.key == nil` is `not msg.key`, as no field but `retain` is false.
    func condition(_ value: LuaExpression) -> String? {
        switch value.kind {
        case .parenthesis(let inner): return condition(inner)
        case .operations(let first, let rest):
            guard rest.count == 1, rest[0].sign == "==" || rest[0].sign == "~=" else { return text(of: value) }
            var field: String?
            if case .null = rest[0].right.kind { field = text(of: first) }
            if case .null = first.kind { field = text(of: rest[0].right) }
            guard let field, field.hasPrefix("$."), field != "$.retain", !field.dropFirst(2).contains(where: { ".[:(#".contains($0) }) else {
                return text(of: value)
            }
            return rest[0].sign == "==" ? "(not \(field))" : field
        default: return text(of: value)
        }
    }

    /// nil: it depends on more than the message, or that is not sure.
    func text(of value: LuaExpression) -> String? { text(value, 0) }

    private func text(_ value: LuaExpression, _ depth: Int) -> String? {
        guard depth < Self.deepest else { return nil }
        switch value.kind {
        case .null: return "nil"
        case .boolean(let isTrue): return "\(isTrue)"
        case .number(let digits): return digits
        case .text(let text): return "'\(text)'"
        case .bytes(let bytes): return "\(bytes)"
        case .parenthesis(let inner): return text(inner, depth + 1)
        case .unary(let sign, let inner): return text(inner, depth + 1).map { "(\(sign) \($0))" }
        case .operations(let first, let rest):
            guard var all = text(first, depth + 1) else { return nil }
            if rest.count == 1, ["==", "~="].contains(rest[0].sign) {
                // Two people write them in either order.
                return text(rest[0].right, depth + 1).map { "(\(min(all, $0)) \(rest[0].sign) \(max(all, $0)))" }
            }
            for one in rest {
                guard let right = text(one.right, depth + 1) else { return nil }
                all += " \(one.sign) \(right)"
            }
            return "(\(all))"
        case .name(let name):
            guard let variable = name.variable else { return Self.pure.contains(name.text) ? name.text : nil }
            if let library = name.global, Self.pure.contains(library) { return library }
            // The hook's first parameter is the message. The others are ctx and the like.
            if let index = parameters[ObjectIdentifier(variable)] { return index == 0 ? "$" : nil }
            guard let (value, place) = meanings[ObjectIdentifier(variable)] else { return nil }
            return text(value, depth + 1).map { place == 0 ? $0 : "\($0)#\(place)" }
        case .suffixed(let base, let suffixes):
            guard var all = text(base, depth + 1) else { return nil }
            for suffix in suffixes {
                guard let next = text(suffix, depth + 1) else { return nil }
                all += next
            }
            return all
        case .varargs, .function, .table: return nil
        }
    }

    private func text(_ suffix: LuaSuffix, _ depth: Int) -> String? {
        func list(_ values: [LuaExpression]) -> String? {
            let texts = values.compactMap { text($0, depth + 1) }
            return texts.count == values.count ? "(\(texts.joined(separator: ", ")))" : nil
        }
        switch suffix.kind {
        case .field(let name): return ".\(name)"
        case .index(let key): return text(key, depth + 1).map { "[\($0)]" }
        case .call(let values): return list(values)
        case .method(let name, let values): return list(values).map { ":\(name)\($0)" }
        }
    }
}
