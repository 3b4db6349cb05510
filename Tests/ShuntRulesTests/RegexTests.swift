import ShuntCore
import Testing

@testable import ShuntRules

@Suite("re: regular expressions in linear time")
struct RegexTests {
    /// The values of a Lua expression as JSON, or its error.
    private func value(_ expression: String) throws -> String {
        try RuleRig.ask("log.info(json.encode(json.array { \(expression) }))").first ?? "nothing"
    }

    @Test(
        "what matches, and what its groups are",
        arguments: [
            (#"re.test("order 17", [[\d+]])"#, "[true]"), (#"re.test("order", [[\d]])"#, "[false]"), (#"re.test("", "")"#, "[true]"),
            (#"re.test("", "^$")"#, "[true]"), (#"re.test("a\n", "^a$")"#, "[false]"), (#"re.test("b", "^a")"#, "[false]"),
            (#"re.match("key = value", [[(\w+)\s*=\s*(\w+)]])"#, #"["key","value"]"#), (#"re.match("abc", "b.")"#, #"["bc"]"#),
            (#"re.match("abc", "x") == nil"#, "[true]"), (#"re.match("ab", "(a)|(b)")"#, #"["a"]"#),
            (#"(function(...) return select(string.char(35), ...) end)(re.match("ab", "(a)|(b)"))"#, "[2]"),
            (#"re.match("aaa", "a{2}")"#, #"["aa"]"#), (#"re.match("aaa", "a{1,}?")"#, #"["a"]"#),
            (#"re.match("aaaa", "^a{2,3}")"#, #"["aaa"]"#), (#"re.match("a{2", "a{2")"#, #"["a{2"]"#), (#"re.match("aaa", "a{0}b?")"#, #"[""]"#),
            (#"re.match("foobar", "foo|foobar")"#, #"["foo"]"#), (#"re.match("xAbC", "(?i)abc")"#, #"["AbC"]"#),
            (#"re.match("AB ab", "(?i:a)b")"#, #"["ab"]"#), (#"re.match("a\nb", "a.b") == nil"#, "[true]"), (#"#re.match("a\nb", "(?s)a.b")"#, "[3]"),
            (#"re.match("größer", "ö.e")"#, #"["öße"]"#), (#"re.match("größer", "[ß-ÿ]+")"#, #"["öß"]"#),
            (#"re.match("🙂!", [[\x{1F642}.]])"#, #"["🙂!"]"#),
            (#"re.match("a-b]c", [=[[]\-a-]+]=])"#, #"["a-"]"#), (#"re.match("x^y", "[^^x]")"#, #"["y"]"#), (#"re.match("a.b", [[\.]])"#, #"["."]"#),
            (#"re.match("one two", [[\btwo\b]])"#, #"["two"]"#), (#"re.match("onetwo", [[\btwo]]) == nil"#, "[true]"),
            (#"re.match("ab", [[\Aab\z]])"#, #"["ab"]"#), (#"re.test("a\0b", [[a\x00b]])"#, "[true]"), (#"re.test("\xff", ".")"#, "[false]"),
            (#"re.match("\xff\xfea", "[^b]")"#, #"["a"]"#), (#"re.match("aab", "(?:a|ab)(?:c|b)?b?$")"#, #"["ab"]"#),
            (#"re.replace("4111 1111", [[\d]], "*")"#, #"["**** ****",8]"#), (#"re.replace("a b", [[(\w) (\w)]], "%2 %1%%%0")"#, #"["b a%a b",1]"#),
            (#"re.replace("aaa", "a", "b", 2)"#, #"["bba",2]"#), (#"re.replace("baac", "a*", "-")"#, #"["-b-c-",3]"#),
            (#"re.replace("é", "x*", "-")"#, #"["-é-",2]"#), (#"re.replace("", "^$", "empty")"#, #"["empty",1]"#),
            (#"re.replace("aa", "^a", "b")"#, #"["ba",1]"#),
            (#"re.replace("ab", "(a)|(b)", "[%1%2]")"#, #"["[a][b]",2]"#),
        ] as [(String, String)])
    func matches(expression: String, expected: String) throws { #expect(try value(expression) == expected) }

    @Test(
        "what is no pattern is an error that says where and why",
        arguments: [
            ("(", "byte 2 of the pattern: there is no ) for a ("), (")", "byte 1 of the pattern: there is no ( for a )"),
            ("a)", "byte 2 of the pattern: there is no ( for a )"), ("[a", "there is no ] for a ["), ("*a", "there is nothing to repeat"),
            ("a**", "byte 3 of the pattern: a repetition is repeated"), ("a{2}{3}", "a repetition is repeated"), ("\\", "a backslash at the end"),
            ("[z-a]", "the wrong way round"), ("a{3,2}", "the wrong way round"), ("a{1001}", "more than 1000 repetitions"),
            ("(a)\\1", "can't be asked for"), ("\\q", "no such escape"), ("(?=a)", "do not look ahead"), ("(?P<n>a)", "have no names"),
            ("(?m)^a", "(?m) is not there"), ("[[:alpha:]]", "write a-zA-Z"), ("\\x4", "two hexadecimal digits"), ("\\x{110000}", "in braces"),
            ("((a{1000}){1000})", "repeats too much"), (String(repeating: "(", count: 70) + String(repeating: ")", count: 70), "more than 15 groups"),
            (String(repeating: "(?:", count: 70) + String(repeating: ")", count: 70), "nested too deeply"),
            (String(repeating: "a", count: 1025), "at most 1024 bytes"), ("\u{0}\\", "a backslash at the end"),
        ])
    func errors(pattern: String, why: String) throws {
        var quoted = ""
        for byte in pattern.utf8 { quoted += #"\x"# + (byte < 16 ? "0" : "") + String(byte, radix: 16) }
        #expect(try value("re.test('', \"\(quoted)\")").contains(why))
        #expect(try value("re.replace('', \"\(quoted)\", '')").contains(why))
    }

    @Test("A replacement that names no group, and a pattern that is not UTF-8, are errors", arguments: ["%2", "%", "%a"])
    func replacements(with: String) throws {
        #expect(try value("re.replace('a', '(a)', '\(with)')").contains("re.replace: after % comes the number of a group"))
        #expect(try value(#"re.test("a", "\xc3(")"#).contains("it is not UTF-8"))
    }

    @Test(
        "no text and no pattern takes longer than the budget, or more than its memory",
        arguments: [
            // What a search that tries one way after the other never ends with.
            #"re.test(("a"):rep(200000), "^(a+)+$") re.match(("a"):rep(30), "(a|aa)+$")"#,
            // An automaton with a state for each of the last 500 letters.
            #"local t = {} for i = 1, 200000 do t[i] = (i * i) % 7 < 3 and "a" or "b" end re.test(table.concat(t), "(?:a|b)*a(?:a|b){500}c")"#,
            #"re.match(("ab"):rep(100000), "(a?b?){500}c")"#, #"re.replace(("a"):rep(500000), "a", ("b"):rep(1000))"#,
            #"re.replace(("a"):rep(100000), "a*b", "")"#, #"re.match(("x"):rep(1000000), [[\bx+\by]])"#,
            #"for i = 1, 1e9 do re.test("a", "a{" .. i % 900 .. "}b{" .. i % 901 .. "}") end"#,
            #"for i = 1, 1e9 do re.test("a", ("[^" .. i % 1000 .. "]"):rep(100)) end"#,
            #"for i = 1, 1e9 do pcall(re.test, "a", ("[\\W\\D\\S]"):rep(100)) end"#,
        ])
    func bounded(body: String) throws {
        let rig = try RuleRig("function R.on_message(msg) while true do \(body) end end", limits: RuleLimits())
        let clock = ThreadClock()
        for _ in 0..<3 { rig.send() }
        #expect(clock.milliseconds < 250)
        #expect(rig.figures().errors.values.reduce(0, +) == 3 && rig.figures().errors[.ruleFailed] == nil, "\(rig.log.texts)")
    }
}
