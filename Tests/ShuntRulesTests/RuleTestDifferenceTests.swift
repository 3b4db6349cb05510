import ShuntCore
import Testing

@testable import ShuntRules

@Suite("what t:eq tells of a difference")
struct RuleTestDifferenceTests {
    private func failure(_ test: String) throws -> String? {
        let folder = try PluginFolder([
            "r/rule.lua": "return { on_message = function() end }", "r/rule_test.lua": "return { x = function(t)\n\(test)\nend }",
        ])
        let result = try #require(try RuleTestRunner(plugin: RulePlugin(directory: folder.path + "/r")).run().first)
        return result.failure?.message
    }

    @Test(
        "tables: the paths that differ, in the order of their keys",
        arguments: [
            (
                "t:eq({ lines = { { sku = 'x' }, { sku = 'b' } } }, { lines = { { sku = 'x' }, { sku = 'a' } } })",
                #".lines[2].sku: expected "a", got "b""#
            ),
            ("t:eq({ a = 1 }, { a = 1, b = { 2 } })", ".b: missing, expected [2]"), ("t:eq({ a = 1, b = 2 }, { a = 1 })", ".b: not expected, got 2"),
            ("t:eq({ ['a b'] = 1 }, { ['a b'] = '1' })", #"["a b"]: expected "1", got 1"#),
            ("t:eq({ { 1 } }, { 5 }, 'the list')", "the list: [1]: expected 5, got [1]"),
            (
                "t:eq({ b = 1, a = 1, 1 }, { b = 2, a = 2, 2 })",
                "3 differences:\n[1]: expected 2, got 1\n.a: expected 2, got 1\n.b: expected 2, got 1"
            ),
            ("t:eq({}, nil)", "expected nil, got {}"), ("t:eq('a\\nb', 'c')", #"expected "c", got "a\nb""#),
            ("t:eq({ [true] = 1 }, {})", "[true]: not expected, got 1"),
        ])
    func tables(test: String, message: String) throws { #expect(try failure(test) == message) }

    @Test(
        "equal values pass, cyclic ones too",
        arguments: [
            "local a, b = {}, {} a.next, b.next = a, b t:eq(a, b)", "local a, b, c = {}, {}, {} a.next, b.next, c.next = b, a, c t:eq(a, c)",
            "t:eq({ 1, { x = {} } }, { 1.0, { x = {} } })", "local x = ('x'):rep(100000) t:eq({ x }, { x .. '' })",
        ])
    func equal(test: String) throws { #expect(try failure(test) == nil) }

    @Test("a difference in cyclic tables is found")
    func cyclic() throws {
        #expect(try failure("local a, b = { 1 }, { 2 } a.next, b.next = a, b t:eq(a, b)") == "[1]: expected 2, got 1")
        #expect(try failure("local a = {} a.a = a t:eq(a, { a = {} })")?.hasPrefix(".a.a: not expected, got ") == true)
    }

    @Test("long texts: where they begin to differ")
    func texts() throws {
        #expect(
            try failure("local x = ('x'):rep(300) t:eq(x .. '\\nabc' .. x, x .. '\\nabd' .. x)")
                == "byte 304 in line 2: expected \"…\(String(repeating: "x", count: 17))\\nabd\(String(repeating: "x", count: 59))…\", "
                + "got \"…\(String(repeating: "x", count: 17))\\nabc\(String(repeating: "x", count: 59))…\"")
        #expect(
            try failure("local x = ('x'):rep(100) t:eq({ p = x }, { p = x .. 'y' })")
                == ".p: byte 101: expected \"…\(String(repeating: "x", count: 20))y\", got the end after \"\(String(repeating: "x", count: 20))\"")
        #expect(try failure("local x = ('ä'):rep(100) t:eq(x .. 'a', x .. 'b')")?.contains("\u{FFFD}") == false)
    }

    @Test("what is told is bounded, whatever differs")
    func bounded() throws {
        let many = try #require(try failure("local a, b = {}, {} for i = 1, 5000 do a[i], b[i] = i, -i end t:eq(a, b, ('what'):rep(100))"))
        #expect(many.contains("more than 10 differences:\n[1]: expected -1, got 1\n"))
        #expect(many.hasSuffix("\n[10]: expected -10, got 10") && many.utf8.count < 500)
        let long = try #require(try failure("local a, b = {}, {} for i = 1, 5000 do a[i], b[i] = ('x'):rep(200) .. i, ('y'):rep(200) end t:eq(a, b)"))
        #expect(long.hasPrefix("more than 4 differences:\n[1]: byte 1: expected ") && long.hasSuffix("x…\"") && long.utf8.count < 1000)
        let deep = try #require(
            try failure(
                "local a, b = { 1 }, { 2 } for i = 1, 1000 do a, b = { [('k'):rep(100)] = a }, { [('k'):rep(100)] = b } end t:eq(a, b)"))
        #expect(deep.hasPrefix("…") && deep.hasSuffix("[1]: expected 2, got 1") && deep.utf8.count < 400)
        #expect(try #require(try failure("t:eq({ [('\\xbf'):rep(1000)] = ('\\xbf'):rep(1000) }, {})")).utf8.count < 1000)
    }
}
