/// Reads Lua 5.4 by recursive descent, and resolves names as it goes.
///
/// One token is looked ahead; each is read once. Lua allows 200 levels, and so does this.
struct LuaParser {
    var lexer: LuaLexer
    var token = LuaToken(kind: .end, text: "", offset: 0, end: 0)
    var ahead: LuaToken?
    /// The token before, for hints.
    private(set) var before = ""
    /// Where an `else` has an `if` behind it in its line.
    private var elseIf: Int?
    var scopes = LuaScopes()
    private var level = 0

    var variables: [LuaVariable] { scopes.variables }

    init(_ source: LuaSource) { lexer = LuaLexer(source.bytes) }

    mutating func file() throws(LuaSyntaxError) -> LuaBlock {
        token = try lexer.next()
        scopes.enterFunction(isVararg: true)
        let body = try block()
        guard token.kind == .end else { throw LuaSyntaxError("\(token.shown) closes nothing", at: token.offset) }
        try scopes.leaveFunction()
        return body
    }

    // MARK: tokens

    mutating func advance() throws(LuaSyntaxError) {
        before = token.text
        if let next = ahead { (token, ahead) = (next, nil) } else { token = try lexer.next() }
    }

    mutating func skip(_ word: String) throws(LuaSyntaxError) -> Bool {
        guard token.is(word) else { return false }
        try advance()
        return true
    }

    mutating func expect(_ word: String, _ why: String, help: String? = nil) throws(LuaSyntaxError) {
        guard token.is(word) else {
            let help = help ?? (token.kind == .symbol ? LuaHints.missing(word, at: token.text) : nil)
            throw LuaSyntaxError("'\(word)' is missing before \(token.shown)\(why)", at: token.offset, help: help)
        }
        try advance()
    }

    /// The word that ends what began before.
    private mutating func close(_ word: String, _ opener: LuaToken) throws(LuaSyntaxError) {
        guard token.is(word) else {
            let line = LuaSource(lexer.bytes).place(opener.offset).line
            throw LuaSyntaxError(
                "'\(word)' is missing before \(token.shown): it closes '\(opener.text)' of line \(line)", at: token.offset,
                help: elseIfHint)
        }
        try advance()
    }

    mutating func name() throws(LuaSyntaxError) -> LuaToken {
        guard token.kind == .name else {
            throw LuaSyntaxError("a name is missing before \(token.shown)", at: token.offset, help: before == ":" ? LuaHints.colon : nil)
        }
        let name = token
        try advance()
        return name
    }

    /// Where an `end` is missing, and an `else if` may be why.
    var elseIfHint: String? {
        elseIf.map { "elseif is one word: the if behind the else of line \(LuaSource(lexer.bytes).place($0).line) has an end of its own" }
    }

    /// What stands right behind the token.
    var byteAfterToken: UInt8? { token.end < lexer.bytes.count ? lexer.bytes[token.end] : nil }

    mutating func enter() throws(LuaSyntaxError) {
        level += 1
        guard level <= 200 else { throw LuaSyntaxError("more than 200 levels deep", at: token.offset) }
    }

    mutating func leave() { level -= 1 }

    // MARK: blocks

    private func endsBlock(until: Bool = true) -> Bool {
        token.kind == .end || token.is("end") || token.is("else") || token.is("elseif") || until && token.is("until")
    }

    mutating func block() throws(LuaSyntaxError) -> LuaBlock {
        var block = LuaBlock()
        while !endsBlock() {
            if token.is("return") {
                try enter()
                block.statements.append(try returned())
                leave()
                break
            }
            if let statement = try statement() { block.statements.append(statement) }
        }
        return block
    }

    private mutating func scoped(isLoop: Bool = false, _ variables: [LuaVariable] = []) throws(LuaSyntaxError) -> LuaBlock {
        scopes.enterBlock(isLoop: isLoop)
        for variable in variables { try scopes.add(variable) }
        let block = try block()
        try scopes.leaveBlock()
        return block
    }

    private mutating func returned() throws(LuaSyntaxError) -> LuaStatement {
        let start = token.offset
        try advance()
        let values = endsBlock() || token.is(";") ? [] : try expressions()
        _ = try skip(";")
        guard endsBlock() else {
            throw LuaSyntaxError(
                "\(token.shown) stands after return, which ends a block", at: token.offset,
                help: token.is("=") ? "== compares two values" : LuaHints.word(token.text) ?? LuaHints.word(before))
        }
        return LuaStatement(kind: .returned(values), offset: start)
    }

    private mutating func statement() throws(LuaSyntaxError) -> LuaStatement? {
        try enter()
        defer { leave() }
        let first = token
        guard first.kind == .keyword || first.kind == .symbol else { return try plain() }
        let kind: LuaStatement.Kind
        switch first.text {
        case ";":
            try advance()
            return nil
        case "if": kind = try choice()
        case "while":
            try advance()
            let condition = try expression()
            try expect("do", "")
            let body = try scoped(isLoop: true)
            try close("end", first)
            kind = .loop(condition, body)
        case "do":
            try advance()
            kind = .block(try scoped())
            try close("end", first)
        case "for": kind = try counted()
        case "repeat": kind = try repeated()
        case "function": kind = try function()
        case "local": kind = try local()
        case "::": kind = try label()
        case "break":
            try advance()
            guard scopes.isInLoop else { throw LuaSyntaxError("break stands outside of a loop", at: first.offset) }
            kind = .broken
        case "goto":
            try advance()
            let target = try name()
            scopes.jump(target.text, at: target.offset)
            kind = .jump(target.text)
        default: return try plain()
        }
        return LuaStatement(kind: kind, offset: first.offset)
    }

    private mutating func choice() throws(LuaSyntaxError) -> LuaStatement.Kind {
        let first = token
        var cases: [(condition: LuaExpression, block: LuaBlock, offset: Int)] = []
        repeat {
            let start = token.offset
            try advance()
            let condition = try expression()
            try expect("then", "")
            cases.append((condition, try scoped(), start))
        } while token.is("elseif")
        let start = token.offset
        let hasElse = try skip("else")
        if hasElse, token.is("if"), !lexer.bytes[start..<token.offset].contains(10) { elseIf = start }
        let otherwise = hasElse ? try scoped() : nil
        try close("end", first)
        return .choice(cases, otherwise, elseOffset: start)
    }

    private mutating func counted() throws(LuaSyntaxError) -> LuaStatement.Kind {
        let first = token
        try advance()
        scopes.enterBlock(isLoop: true)
        var names = [try name()]
        if try skip("=") {
            var values = [try expression()]
            try expect(",", "")
            values.append(try expression())
            if try skip(",") { values.append(try expression()) }
            let variable = scopes.make(names[0].text, names[0].offset, .loop)
            let body = try loopBody([variable], hidden: 3, first)
            return .numeric(variable, values, body)
        }
        while try skip(",") { names.append(try name()) }
        try expect("in", ": for NAME = FIRST, LAST, or for NAMES in VALUES")
        let values = try expressions()
        let variables = names.map { scopes.make($0.text, $0.offset, .loop) }
        return .generic(variables, values, try loopBody(variables, hidden: 4, first))
    }

    private mutating func loopBody(_ variables: [LuaVariable], hidden: Int, _ first: LuaToken) throws(LuaSyntaxError) -> LuaBlock {
        try expect("do", "")
        try scopes.hide(hidden, at: first.offset)
        let body = try scoped(variables)
        try close("end", first)
        try scopes.leaveBlock()
        return body
    }

    private mutating func repeated() throws(LuaSyntaxError) -> LuaStatement.Kind {
        let first = token
        try advance()
        scopes.enterBlock(isLoop: true)
        scopes.enterBlock(isLoop: false)
        let body = try block()
        try close("until", first)
        let condition = try expression()
        try scopes.leaveBlock()
        try scopes.leaveBlock()
        return .repeated(body, condition)
    }

    private mutating func label() throws(LuaSyntaxError) -> LuaStatement.Kind {
        try advance()
        let label = try name()
        try expect("::", "")
        while token.is(";") || token.is("::") { _ = try statement() }
        try scopes.label(label.text, at: label.offset, isLast: endsBlock(until: false))
        return .label(label.text)
    }

    private mutating func function() throws(LuaSyntaxError) -> LuaStatement.Kind {
        let first = token
        try advance()
        let base = try name()
        var suffixes: [LuaSuffix] = []
        var isMethod = false
        let isPath = token.is(".") || token.is(":")
        let value = scopes.use(base.text, at: base.offset, as: isPath ? .read : .write)
        while !isMethod, token.is(".") || token.is(":") {
            isMethod = token.is(":")
            try advance()
            let field = try name()
            suffixes.append(LuaSuffix(kind: .field(field.text), offset: field.offset))
        }
        let body = try functionBody(first, isMethod: isMethod)
        if !isPath { try scopes.assign(value) }
        let target = LuaExpression(kind: .name(value), offset: base.offset)
        return .function(
            isPath ? LuaExpression(kind: .suffixed(target, suffixes), offset: base.offset) : target, body, isMethod: isMethod)
    }

    mutating func functionBody(_ opener: LuaToken, isMethod: Bool = false) throws(LuaSyntaxError) -> LuaFunction {
        scopes.enterFunction(isVararg: false)
        var parameters: [LuaVariable] = []
        var isVararg = false
        if isMethod { try scopes.add(scopes.make("self", opener.offset, .implicitSelf)) }
        try expect("(", "")
        while !token.is(")") {
            if try skip("...") {
                isVararg = true
                break
            }
            let parameter = try name()
            parameters.append(scopes.make(parameter.text, parameter.offset, .parameter))
            guard try skip(",") else { break }
            guard !token.is(")") else { throw LuaSyntaxError("a name is missing before ')'", at: token.offset) }
        }
        for parameter in parameters { try scopes.add(parameter) }
        scopes.setVararg(isVararg)
        try expect(")", "")
        let body = try block()
        try close("end", opener)
        try scopes.leaveFunction()
        return LuaFunction(parameters, isVararg: isVararg, body: body)
    }

    private mutating func local() throws(LuaSyntaxError) -> LuaStatement.Kind {
        try advance()
        let opener = token
        if try skip("function") {
            let called = try name()
            let variable = scopes.make(called.text, called.offset, .function)
            try scopes.add(variable)
            return .localFunction(variable, try functionBody(opener))
        }
        var variables: [LuaVariable] = []
        repeat {
            let called = try name()
            var attribute: String?
            if try skip("<") {
                let word = try name()
                try expect(">", "")
                guard word.text == "const" || word.text == "close" else {
                    throw LuaSyntaxError("'\(word.text)' is no attribute: there are const and close", at: word.offset)
                }
                guard word.text == "const" || !variables.contains(where: \.isClosed) else {
                    throw LuaSyntaxError("two of these variables are to be closed: one may be", at: word.offset)
                }
                attribute = word.text
            }
            variables.append(scopes.make(called.text, called.offset, .local, attribute: attribute))
        } while try skip(",")
        let values = try skip("=") ? try expressions() : []
        for variable in variables { try scopes.add(variable) }
        for (variable, value) in zip(variables, values) {
            guard let (name, _, suffixes) = value.ofGlobal else { continue }
            if suffixes.count < 2, suffixes.allSatisfy(\.isField) { variable.alias = LuaGlobal(name: name, fields: suffixes) }
        }
        return .local(variables, values)
    }

    /// A call or an assignment.
    private mutating func plain() throws(LuaSyntaxError) -> LuaStatement {
        let start = token.offset
        let first = try suffixed()
        guard token.is("=") || token.is(",") else {
            guard case .suffixed(_, let suffixes) = first.kind, suffixes.last?.isCall == true else {
                throw LuaSyntaxError(
                    "this is no statement: a call or '=' is missing before \(token.shown)", at: start,
                    help: LuaHints.value(first, sign: token.text, next: byteAfterToken))
            }
            return LuaStatement(kind: .call(first), offset: start)
        }
        var targets = [first]
        // Lua takes one of its levels for each, and so has fewer of them than a table could hold.
        while try skip(",") {
            targets.append(try suffixed())
            try enter()
        }
        for _ in 1..<targets.count { leave() }
        for target in targets where !target.isAssignable { throw LuaSyntaxError("nothing can be assigned to this", at: target.offset) }
        try expect("=", "")
        let values = try expressions()
        for index in targets.indices {
            guard case .name(let name) = targets[index].kind else { continue }
            try scopes.assign(name)
            scopes.unread(name)
        }
        return LuaStatement(kind: .assignment(targets, values), offset: start)
    }
}
