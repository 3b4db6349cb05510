/// A local variable, a parameter, or a loop's.
public final class LuaVariable {
    public enum Kind { case local, function, parameter, loop, implicitSelf }

    public let name: String
    public let offset: Int
    public let kind: Kind
    public let isConstant: Bool
    public let isClosed: Bool
    /// The one of the same name that is not seen while this one is.
    public let shadowed: LuaVariable?
    /// How many functions it stands in.
    public let depth: Int
    public internal(set) var reads = 0
    /// Where it is given another value.
    public internal(set) var writes: [Int] = []
    /// The global that it is given where it is declared: `local r = route`, `local drop = route.drop`.
    public internal(set) var alias: LuaGlobal?
    /// A function inside of its own uses it.
    public internal(set) var isCaptured = false

    init(_ name: String, _ offset: Int, _ kind: Kind, shadowed: LuaVariable?, depth: Int, attribute: String? = nil) {
        (self.name, self.offset, self.kind, self.shadowed, self.depth) = (name, offset, kind, shadowed, depth)
        (isConstant, isClosed) = (attribute != nil, attribute == "close")
    }
}

public struct LuaName {
    public let text: String
    public let offset: Int
    /// nil: a global.
    public let variable: LuaVariable?

    public init(text: String, offset: Int, variable: LuaVariable?) { (self.text, self.offset, self.variable) = (text, offset, variable) }

    /// The global that it stands for: the one of its own name, or the one that a local holds for good.
    public var global: String? {
        guard let variable else { return text }
        guard variable.writes.isEmpty, let alias = variable.alias, alias.fields.isEmpty else { return nil }
        return alias.name
    }

    /// The same with the fields that a local holds for good.
    var origin: LuaGlobal? {
        guard let variable else { return LuaGlobal(name: text, fields: []) }
        return variable.writes.isEmpty ? variable.alias : nil
    }
}

/// A global, or what stands in it: `route.drop`.
public struct LuaGlobal {
    public let name: String
    public let fields: [LuaSuffix]
}

/// What follows a value: a chain of them is a list, so that no tree is deeper than the parser's bound.
public struct LuaSuffix {
    public enum Kind {
        case field(String)
        case index(LuaExpression)
        case call([LuaExpression])
        case method(String, [LuaExpression])
    }

    public let kind: Kind
    /// Of the name, the bracket or the arguments.
    public let offset: Int
}

public struct LuaTableField {
    public enum Key {
        case position
        case name(String)
        case value(LuaExpression)
    }

    public let key: Key
    public let value: LuaExpression
    public let offset: Int
}

public struct LuaExpression {
    public indirect enum Kind {
        case null, boolean(Bool), number(String), text(String), varargs
        /// A text that is not UTF-8.
        case bytes([UInt8])
        case function(LuaFunction)
        case name(LuaName)
        case suffixed(LuaExpression, [LuaSuffix])
        case parenthesis(LuaExpression)
        case table([LuaTableField])
        case unary(String, LuaExpression)
        /// From the left on: `a + b - c` is a, with `+ b` and `- c`.
        case operations(LuaExpression, [LuaOperation])
    }

    public let kind: Kind
    public let offset: Int
}

extension LuaExpression {
    /// The global that it begins with, and what follows; locals that hold the global, or a field of it, for good are seen through: the field
    /// then stands where the local does.
    public var ofGlobal: (name: String, offset: Int, suffixes: [LuaSuffix])? {
        switch kind {
        case .name(let name):
            guard let origin = name.origin else { return nil }
            return (origin.name, name.offset, origin.fields.map { LuaSuffix(kind: $0.kind, offset: name.offset) })
        case .suffixed(let base, let suffixes):
            guard case .name = base.kind, let (name, offset, fields) = base.ofGlobal else { return nil }
            return (name, offset, fields + suffixes)
        default: return nil
        }
    }
}

public struct LuaOperation {
    public let sign: String
    public let offset: Int
    public let right: LuaExpression
}

public final class LuaFunction {
    public let parameters: [LuaVariable]
    public let isVararg: Bool
    public let body: LuaBlock

    init(_ parameters: [LuaVariable], isVararg: Bool, body: LuaBlock) {
        (self.parameters, self.isVararg, self.body) = (parameters, isVararg, body)
    }
}

public struct LuaBlock {
    public internal(set) var statements: [LuaStatement] = []
}

public struct LuaStatement {
    public indirect enum Kind {
        case local([LuaVariable], [LuaExpression])
        case localFunction(LuaVariable, LuaFunction)
        /// `function a.b:c()` is an assignment of the path; whether with a colon.
        case function(LuaExpression, LuaFunction, isMethod: Bool)
        case assignment([LuaExpression], [LuaExpression])
        case call(LuaExpression)
        case block(LuaBlock)
        case loop(LuaExpression, LuaBlock)
        case repeated(LuaBlock, LuaExpression)
        /// Conditions with their blocks, and what else.
        case choice([(condition: LuaExpression, block: LuaBlock, offset: Int)], LuaBlock?, elseOffset: Int)
        case numeric(LuaVariable, [LuaExpression], LuaBlock)
        case generic([LuaVariable], [LuaExpression], LuaBlock)
        case returned([LuaExpression])
        case broken
        case jump(String)
        case label(String)
    }

    public let kind: Kind
    public let offset: Int

    /// What it gives values to, locals that it declares aside.
    public var targets: [LuaExpression] {
        switch kind {
        case .assignment(let targets, _): targets
        case .function(let target, _, _): [target]
        default: []
        }
    }
}

/// A file of Lua, parsed.
public struct LuaTree {
    public let source: LuaSource
    public let body: LuaBlock
    /// All variables in their order.
    public let variables: [LuaVariable]
    /// Comments that begin with `shunt:`, without it.
    public let notes: [(offset: Int, text: String)]

    /// - Throws: the first thing that is not Lua 5.4. Some limits of Lua's own compiler (registers, upvalues) are not looked at.
    public init(_ source: LuaSource) throws(LuaSyntaxError) {
        var parser = LuaParser(source)
        body = try parser.file()
        self.source = source
        (variables, notes) = (parser.variables, parser.lexer.notes)
    }
}
