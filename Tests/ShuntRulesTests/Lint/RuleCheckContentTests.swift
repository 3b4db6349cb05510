import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule check, payloads, tables and names of the plugin's own")
struct RuleCheckContentTests {
    private static func rule(_ body: String, before: String = "", match: String = "topic = 'a/+'", more: String = "") -> String {
        "local R = { match = { \(match) } }\n\(before)\nfunction R.on_message(msg)\n\(body)\nend\n\(more)\nreturn R"
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
