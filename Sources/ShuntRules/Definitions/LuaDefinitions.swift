/// What a rule has besides Lua's own, as one table: names, types and meanings. Definitions for the Lua language server (LuaLS) are printed from
/// it; a test holds it against a real state.
public enum LuaDefinitions {
    /// A field of a class or of a library, or a parameter.
    struct Field {
        let name: String
        /// As LuaLS writes it.
        let type: String
        let doc: String

        init(_ name: String, _ type: String, _ doc: String) {
            (self.name, self.type, self.doc) = (name, type, doc)
        }
    }

    struct Function {
        let name: String
        /// Each `name: type`; a name that ends in `?` may be left out.
        let parameters: [String]
        /// Types.
        let returns: [String]
        let doc: String

        init(_ name: String, _ parameters: [String], _ returns: [String] = [], _ doc: String) {
            (self.name, self.parameters, self.returns, self.doc) = (name, parameters, returns, doc)
        }
    }

    struct Class {
        let name: String
        let doc: String
        var parent: String?
        var fields: [Field] = []
        var methods: [Function] = []
    }

    /// A table of functions.
    struct Library {
        let name: String
        let doc: String
        var fields: [Field] = []
        var functions: [Function] = []
        /// The class that it is an object of, where others are of it too.
        var type: String?
    }

    // MARK: printing

    /// The whole file.
    public static var text: String {
        var lines = [
            "---@meta shunt", "", "-- What rules of Shunt have besides Lua's own, for the Lua language server. Made by `shunt rule definitions`.", "",
        ]
        for one in classes { lines += print(one) }
        for one in libraries { lines += print(one) }
        for one in functions + settingWords { lines += print(one, before: "") + [""] }
        while lines.last == "" { lines.removeLast() }
        return lines.joined(separator: "\n") + "\n"
    }

    /// Settings of the language server, for a folder that has the definitions in `library`.
    public static let settings = """
        {
          "runtime.version": "Lua 5.4",
          "runtime.builtin": { "io": "disable", "os": "disable", "package": "disable", "debug": "disable", "ffi": "disable", "jit": "disable" },
          "workspace.library": ["library"],
          "workspace.checkThirdParty": false
        }

        """

    private static func print(_ one: Class) -> [String] {
        var lines = comment(one.doc) + ["---@class \(one.name)\(one.parent.map { ": \($0)" } ?? "")"]
        lines += one.fields.map { "---@field \($0.name) \($0.type) \($0.doc)" }
        let name = one.name.replacing(".", with: "_")
        if !one.methods.isEmpty { lines.append("local \(name) = {}") }
        lines.append("")
        for method in one.methods { lines += print(method, before: name + ":") + [""] }
        return lines
    }

    private static func print(_ one: Library) -> [String] {
        var lines = comment(one.doc)
        if let type = one.type { return lines + ["---@type \(type)", "\(one.name) = {}", ""] }
        lines.append("\(one.name) = {}")
        for field in one.fields { lines += [""] + comment(field.doc) + ["---@type \(field.type)", "\(one.name).\(field.name) = nil"] }
        for function in one.functions { lines += [""] + print(function, before: one.name + ".") }
        return lines + [""]
    }

    private static func print(_ one: Function, before name: String) -> [String] {
        var lines = comment(one.doc)
        let parts = one.parameters.map { $0.split(separator: ":", maxSplits: 1).map { $0.drop { $0 == " " } } }
        lines += parts.map { "---@param \($0[0]) \($0[1])" }
        lines += one.returns.map { "---@return \($0)" }
        let names = parts.map { $0[0].hasSuffix("?") ? String($0[0].dropLast()) : String($0[0]) }
        return lines + ["function \(name)\(one.name)(\(names.joined(separator: ", "))) end"]
    }

    private static func comment(_ text: String) -> [String] { text.split(separator: "\n").map { "---\($0)" } }
}
