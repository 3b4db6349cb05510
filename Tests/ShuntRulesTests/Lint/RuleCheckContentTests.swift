import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, payloads, tables and names of the plugin's own")
struct RuleCheckContentTests {
    private static func rule(_ body: String, before: String = "", match: String = "topic = 'a/+'", more: String = "") -> String {
        "local R = { match = { \(match) } }\n\(before)\nfunction R.on_message(msg)\n\(body)\nend\n\(more)\nreturn R"
    }

    // MARK: names

    @Test("what a file adds to a library is there, and what it says of its globals is believed")
    func own() throws {
        let trim = "function string.trim(s) return (s:gsub('%s+', '')) end\ntable.contains = function(list, x) return list[1] == x end"
        #expect(try lintDetails(Self.rule("if table.contains({}, string.trim(msg.key)) then return route.drop() end", before: trim)) == [])
        #expect(try lintDetails(Self.rule("return route.drop(msg.key:trim())", before: trim)).map(\.kind) == [.field], "a text's methods are Lua's")
        #expect(try lintDetails(Self.rule("return route.drop(string.trm(msg.key))", before: trim)).map(\.kind) == [.library])
        #expect(try lintDetails(Self.rule("return route.drop(OTHER)", before: "_ENV.OTHER = 'x'")) == [])
        #expect(try lintDetails(Self.rule("return route.drop(f())", before: "local function f() local _ENV = { x = 'a' } return x end")) == [])
        let asked = "setmetatable(_G, { __index = function(_, name) return name end })"
        #expect(try lintDetails(Self.rule("return route.drop(whatever)", before: asked)) == [])
    }

    @Test("words for types are there where the rule loads, in any of its files, and not in hooks")
    func words() throws {
        let outer = "local R = { settings = require 'schema' }\nfunction R.on_message(_, ctx) return route.drop(ctx.settings.why) end\nreturn R"
        let schema = "return { why = text { default = 'x' }, all = list({ topic = filter }, { default = {} }) }"
        #expect(try lintDetails(outer, more: ["schema.lua": schema]) == [])
        let made = "local function make()\nlocal R = { settings = { why = text } }\nfunction R.on_tick() end\nreturn R\nend\nreturn make()"
        #expect(try lintDetails(made) == [])
        let late = "local R = { settings = { a = integer { default = 1 } } }\n"
        for (body, given) in [
            ("if #topic > 5 then return route.drop() end", ""), ("for _, x in ipairs(list) do log.info(x) end", ""),
            ("return route.drop(f())", "local function f() return text end"), ("return route.drop(f())", "local function f() return (path) end"),
        ] {
            let found = try lintDetails("\(late)\(given)\nfunction R.on_message()\n\(body)\nend\nreturn R")
            #expect(found.map(\.kind) == [.global], "\(body)")
            #expect(found.first?.help?.hasSuffix("is there while the rule loads, and not in hooks") == true)
        }
        let given = "\(late)local function one() return text { default = 'x' } end\nR.settings.b = one()\nfunction R.on_message() end\nreturn R"
        #expect(try lintDetails(given) == [])
        #expect(try lintDetails("return { on_tick = function() log.info(topic) end }").map(\.kind) == [.global])
        // The one mistake, and not what follows from it.
        let unreturned = "local R = {}\nR.settings = { a = list { topic = filter }, b = enum { 'x', 'y', default = 'x' } }\n"
        #expect(try lintDetails(unreturned).map(\.message) == ["rule.lua returns nothing"])
        #expect(try lintDetails("return { settings = { a = txt { default = 'x' } } }").first?.help == "did you mean text?")
        #expect(try lintDetails("return { settings = { a = string { default = 'x' } } }").first?.help?.hasPrefix("did you mean text, as") == true)
    }

    @Test("a module that is asked for by a path is told with its name")
    func modules() throws {
        func told(_ name: String) throws -> String? {
            let found = try lintDetails(
                "local a = require '\(name)'\nreturn { on_tick = function() log.info(a) end }", more: ["sub/a.lua": "return 'x'"])
            return found.first { $0.kind == .library }.map { "\($0.message); \($0.help ?? "")" }
        }
        #expect(try told("sub.a") == nil)
        #expect(try told("./sub/a") == "the plugin has no module \"./sub/a\"; did you mean sub/a? it has sub/a")
        #expect(try told("sub/a.lua") == "the plugin has no module \"sub/a.lua\"; did you mean sub/a? it has sub/a")
    }

    // MARK: texts that are not UTF-8

    @Test("keys are the same where their bytes are")
    func bytes() throws {
        let names = "local names = { ['\\xff'] = 1, ['\\xfe'] = 2, ['\\u{D800}'] = 3, ['\\u{D801}'] = 4, ['\u{E9}'] = 5, ['e\u{301}'] = 6 }"
        #expect(try lintDetails("\(names)\nreturn { on_message = function(msg) return names[msg.key] and msg or nil end }") == [])
        let twice = try lintDetails(
            "local t = { ['\\xff'] = 1, ['\\255'] = 2 }\nreturn { on_message = function(m) return t[m.key] and m or nil end }")
        #expect(twice.map(\.message) == ["the key \\xff stands here a second time: the first one is lost"])
        let tests = "return { ['gr\\xf6sse'] = function(t) t:ok(1) end, ['gr\\xe4sse'] = function(t) t:ok(1) end }"
        #expect(try lintDetails("return { on_tick = function() end }", test: tests) == [])
        let folder = try PluginFolder(["r/rule.lua": "return {}", "r/rule_test.lua": tests.replacing("xe4", with: "xf6")])
        #expect(RuleTestRunner(plugin: try RulePlugin(directory: folder.path + "/r")).run().map { $0.failure != nil } == [true])
    }
}
