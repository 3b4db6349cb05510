import Foundation
import LuaSyntax
import SeededRandom
import Testing

@testable import ShuntRules

@Suite("The parser of Lua")
struct LuaSyntaxTests {
    private static func isTaken(_ text: [UInt8]) -> Bool { (try? LuaTree(LuaSource(text))) != nil }

    private static func compiles(_ text: [UInt8]) -> Bool { GlobalWrites(text) != nil }

    @Test(
        "it takes what Lua takes",
        arguments: [
            "x = 0x.8p1", "x = 1..2", "x = 3e", "x = 0xep1", "goto a", "goto a ::a::", "do goto a local x ::a:: end",
            "do goto a local x ::a:: x() end",
            "::a:: ::a::", "break", "while x do break end", "local x <const> = 1 x = 2", "local x <close>, y <close> = 1", "return ...",
            "f = function() return ... end",
            "repeat local x until x", "x = '\\u{7FFFFFFF}'", "x = '\\u{80000000}'", "x = '\\400'", "x = [==[ ]=] ]==]", "return return", "a.b:c = 1",
            "f() = 1", "(f)", "(f)()",
            "x = a or b and c < d | e ~ f & g << h .. i + j * -k ^ l", "for i = 1 do end", "for i = 1, 2, 3 do end", "for a, b in c do end", "--[[",
            "x = \"a\nb\"", "x = 'a\\\nb'",
            "local function f() end return f;", "return 1, 2; x()", "x = {1, 2; a = 3, [4] = 5,}", "x = {,}", "f{}.x = 1", "f'a':b()",
            "local x <foo> = 1", "function a.b.c:d() end", "a = b c = d",
            "function f(a,) end", "function f(..., a) end", "\u{FEFF}return 1", "#!x", "x = 0x", "x = 1 // 2 ~= 3",
            "repeat goto continue local x ::continue:: until x",
        ])
    func sameAsLua(text: String) { #expect(Self.isTaken(Array(text.utf8)) == Self.compiles(Array(text.utf8))) }

    @Test("it takes mutated files where Lua does, and never crashes")
    func mutations() throws {
        var random = SplitMix(seed: 7)
        let sources = try PluginTests.names.map { try [UInt8](Data(contentsOf: URL(fileURLWithPath: "\(PluginTests.directory)/\($0)/rule.lua"))) }
        let words = [
            "end", "do", "(", ")", "{", "}", "\"", "[[", "]]", "::a::", "goto a", "=", ",", "..", "...", "local", "function", "--", "\\", "0x", "\n",
            "\0",
        ]
        for round in 0..<1500 {
            var text = sources[round % sources.count]
            let start = Int.random(in: 0..<text.count, using: &random)
            text = Array(text[start..<min(text.count, start + 400)])
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let at = Int.random(in: 0...text.count, using: &random)
                if Bool.random(using: &random) {
                    text.insert(contentsOf: (words.randomElement(using: &random) ?? "").utf8, at: at)
                } else if at < text.count {
                    text[at] = UInt8.random(in: 0...255, using: &random)
                }
            }
            #expect(Self.isTaken(text) == Self.compiles(text), "\(String(decoding: text, as: UTF8.self))")
        }
    }

    @Test("what is deep or long is bounded")
    func bounds() {
        for text in [
            String(repeating: "(", count: 100_000), "x = " + String(repeating: "{", count: 100_000), String(repeating: "do ", count: 80_000),
        ] {
            #expect(!Self.isTaken(Array(text.utf8)))
        }
        for text in ["x = a" + String(repeating: ".b", count: 100_000), "x = a" + String(repeating: "+1", count: 100_000)] {
            #expect(Self.isTaken(Array(text.utf8)))
        }
    }
}
