/// Values: what binds how strongly, calls, tables.
extension LuaParser {
    mutating func expressions() throws(LuaSyntaxError) -> [LuaExpression] {
        var list = [try expression()]
        while try skip(",") { list.append(try expression()) }
        return list
    }

    mutating func expression() throws(LuaSyntaxError) -> LuaExpression { try expression(over: 0) }

    /// How strongly a sign binds what stands left and right of it.
    private static let strengths: [String: (left: Int, right: Int)] = [
        "or": (1, 1), "and": (2, 2), "<": (3, 3), ">": (3, 3), "<=": (3, 3), ">=": (3, 3), "~=": (3, 3), "==": (3, 3), "|": (4, 4), "~": (5, 5),
        "&": (6, 6), "<<": (7, 7), ">>": (7, 7), "..": (9, 8), "+": (10, 10), "-": (10, 10), "*": (11, 11), "/": (11, 11), "//": (11, 11),
        "%": (11, 11), "^": (14, 13),
    ]
    private static let unaryStrength = 12

    private func isUnary(_ token: LuaToken) -> Bool { token.is("not") || token.is("-") || token.is("#") || token.is("~") }

    private mutating func expression(over limit: Int) throws(LuaSyntaxError) -> LuaExpression {
        try enter()
        defer { leave() }
        let start = token.offset
        let first: LuaExpression
        if isUnary(token) {
            let sign = token.text
            try advance()
            first = LuaExpression(kind: .unary(sign, try expression(over: Self.unaryStrength)), offset: start)
        } else {
            first = try simple()
        }
        var rest: [LuaOperation] = []
        while token.kind == .symbol || token.kind == .keyword, let strength = Self.strengths[token.text], strength.left > limit {
            let sign = token
            try advance()
            rest.append(LuaOperation(sign: sign.text, offset: sign.offset, right: try expression(over: strength.right)))
        }
        return rest.isEmpty ? first : LuaExpression(kind: .operations(first, rest), offset: start)
    }

    private mutating func simple() throws(LuaSyntaxError) -> LuaExpression {
        let first = token
        let kind: LuaExpression.Kind
        switch (first.kind, first.text) {
        case (.number, _): kind = .number(first.text)
        case (.text, _): kind = first.literal
        case (.keyword, "nil"): kind = .null
        case (.keyword, "true"): kind = .boolean(true)
        case (.keyword, "false"): kind = .boolean(false)
        case (.symbol, "..."):
            guard scopes.isVararg else { throw LuaSyntaxError("'...' stands in a function that does not take it", at: first.offset) }
            kind = .varargs
        case (.symbol, "{"): return try table()
        case (.keyword, "function"):
            try advance()
            return LuaExpression(kind: .function(try functionBody(first)), offset: first.offset)
        default: return try suffixed()
        }
        try advance()
        return LuaExpression(kind: kind, offset: first.offset)
    }

    mutating func suffixed() throws(LuaSyntaxError) -> LuaExpression {
        let first = token
        let base: LuaExpression
        if first.kind == .name {
            try advance()
            base = LuaExpression(kind: .name(scopes.use(first.text, at: first.offset, as: .read)), offset: first.offset)
        } else if try skip("(") {
            base = LuaExpression(kind: .parenthesis(try expression()), offset: first.offset)
            try expect(")", "")
        } else {
            throw LuaSyntaxError(
                "\(first.shown) stands where a value or a statement should begin", at: first.offset,
                help: first.kind == .symbol || first.kind == .keyword
                    ? LuaHints.sign(first.text, before: before, next: byteAfterToken) ?? (first.is("}") || first.is(")") ? elseIfHint : nil) : nil)
        }
        var suffixes: [LuaSuffix] = []
        while let suffix = try suffix() { suffixes.append(suffix) }
        return suffixes.isEmpty ? base : LuaExpression(kind: .suffixed(base, suffixes), offset: first.offset)
    }

    private mutating func suffix() throws(LuaSyntaxError) -> LuaSuffix? {
        let first = token
        if token.kind == .text { return LuaSuffix(kind: .call(try arguments()), offset: first.offset) }
        guard token.kind == .symbol else { return nil }
        switch token.text {
        case ".":
            try advance()
            let field = try name()
            return LuaSuffix(kind: .field(field.text), offset: field.offset)
        case "[":
            try advance()
            let key = try expression()
            try expect("]", "")
            return LuaSuffix(kind: .index(key), offset: first.offset)
        case ":":
            try advance()
            let method = try name()
            return LuaSuffix(kind: .method(method.text, try arguments(help: LuaHints.colon)), offset: method.offset)
        case "(", "{": return LuaSuffix(kind: .call(try arguments()), offset: first.offset)
        default: return nil
        }
    }

    private mutating func arguments(help: String? = nil) throws(LuaSyntaxError) -> [LuaExpression] {
        if token.kind == .text {
            let text = LuaExpression(kind: token.literal, offset: token.offset)
            try advance()
            return [text]
        }
        if token.is("{") { return [try table()] }
        try expect("(", ": a call's arguments", help: help)
        let list = token.is(")") ? [] : try expressions()
        try expect(")", "")
        return list
    }

    private mutating func table() throws(LuaSyntaxError) -> LuaExpression {
        let first = token
        try advance()
        var fields: [LuaTableField] = []
        while !token.is("}") {
            fields.append(try field())
            guard token.is(",") || token.is(";") else { break }
            try advance()
        }
        try expect("}", "")
        return LuaExpression(kind: .table(fields), offset: first.offset)
    }

    private mutating func field() throws(LuaSyntaxError) -> LuaTableField {
        let start = token.offset
        if try skip("[") {
            let key = try expression()
            try expect("]", "")
            try expect("=", "")
            return LuaTableField(key: .value(key), value: try expression(), offset: start)
        }
        if token.kind == .name {
            if ahead == nil { ahead = try lexer.next() }
            if ahead?.is("=") == true {
                let key = token.text
                try advance()
                try advance()
                return LuaTableField(key: .name(key), value: try expression(), offset: start)
            }
        }
        return LuaTableField(key: .position, value: try expression(), offset: start)
    }
}

extension LuaSuffix {
    var isField: Bool { if case .field = kind { true } else { false } }

    public var isCall: Bool {
        switch kind {
        case .call, .method: true
        case .field, .index: false
        }
    }
}

extension LuaExpression {
    var isAssignable: Bool {
        switch kind {
        case .name: true
        case .suffixed(_, let suffixes): suffixes.last?.isCall == false
        default: false
        }
    }
}
