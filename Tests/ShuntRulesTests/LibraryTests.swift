import ShuntCore
import Testing

@testable import ShuntRules

@Suite("What the host gives to rules")
struct LibraryTests {
    /// The value of a Lua expression, as JSON.
    private func value(_ expression: String) throws -> String {
        try RuleRig.ask("log.info(json.encode(json.array { \(expression) }))").first ?? "nothing"
    }

    @Test(
        "patterns do what the manual says (§6.4.1)",
        arguments: [
            (#"("hello world"):find("wor")"#, "[7,9]"), (#"("hello"):find("l")"#, "[3,3]"), (#"("a.b"):find(".", 1, true)"#, "[2,2]"),
            (#"("a.b"):find("%.")"#, "[2,2]"), (#"("hello"):find("")"#, "[1,0]"), (#"("hello"):find("", 6)"#, "[6,5]"),
            (#"("hello"):find("xyz") == nil"#, "[true]"), (#"("hello"):find("l", -2)"#, "[4,4]"), (#"("hello"):find("o", 10) == nil"#, "[true]"),
            (#"("key = value"):match("^(%w+)%s*=%s*(%w+)$")"#, #"["key","value"]"#), (#"("  x  "):match("^%s*(.-)%s*$")"#, #"["x"]"#),
            (#"("2026-01-31"):match("(%d+)-(%d+)-(%d+)")"#, #"["2026","01","31"]"#), (#"("abc"):match("()b()")"#, "[2,3]"),
            (#"("f(a(b)c)d"):match("%b()")"#, #"["(a(b)c)"]"#), (#"("THE (quick) fox"):find("%((%a+)%)")"#, #"[5,11,"quick"]"#),
            (#"("THE (quick) fox"):gsub("%f[%a]%a+", "w")"#, #"["w (w) w",3]"#), (#"("abab"):match("(a)b%1")"#, #"["a"]"#),
            (#"("hello hello"):match("(%w+) %1")"#, #"["hello"]"#), (#"("x]y"):match("[]]")"#, #"["]"]"#), (#"("x^y"):match("[%^x]+")"#, #"["x^"]"#),
            (#"("a-z"):match("[a%-]+")"#, #"["a-"]"#), (#"("abc123"):match("[^%d]+")"#, #"["abc"]"#), (#"("abc"):match("[a-]+")"#, #"["a"]"#),
            (#"("aaa"):match("a-")"#, #"[""]"#), (#"("aaab"):match("a-b")"#, #"["aaab"]"#), (#"("aaa"):match("^a?a?a?a?$")"#, #"["aaa"]"#),
            (#"("abc"):gsub("", "-")"#, #"["-a-b-c-",4]"#), (#"("abc"):gsub(".", { a = "1", b = true })"#, "error"),
            (#"("abc"):gsub("%w", "%0%0", 2)"#, #"["aabbc",2]"#), (#"("hello world"):gsub("(%w+) (%w+)", "%2 %1")"#, #"["world hello",1]"#),
            (#"("abc"):gsub(".", { a = 1, b = false })"#, #"["1bc",3]"#),
            (#"("abc"):gsub("%w", function(c) if c == "b" then return "[b]" end end)"#, #"["a[b]c",3]"#),
            (#"("abc"):gsub("^a", "x")"#, #"["xbc",1]"#), (#"("a$"):match("a$") == nil"#, "[true]"), (#"("a$b"):match("a$b")"#, #"["a$b"]"#),
            (#"("a\0b"):find("%z")"#, "[2,2]"), (#"("\0\0ab"):match("[%Z]+")"#, #"["ab"]"#), (#"("a"):find("%z") == nil"#, "[true]"),
            (#"#("a\0b"):match(".+")"#, "[3]"), (#"("äö"):match("[\xc3][\xa4]")"#, #"["ä"]"#),
            (
                #"(function() local t = {} for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do t[#t + 1] = k .. v end return table.concat(t, ";") end)()"#,
                #"["a1;b2"]"#
            ),
            (#"(function() local n = 0 for _ in ("abc"):gmatch("") do n = n + 1 end return n end)()"#, "[4]"),
            (#"("x"):match("[a")"#, "error"), (#"("x"):match("(x")"#, "error"), (#"("x"):match("x)")"#, "error"), (#"("x"):match("%")"#, "error"),
            (#"("x"):match("%1")"#, "error"), (#"("x"):match("()%1")"#, "error"), (#"("x"):gsub("x", "%2")"#, "error"),
            (#"("x"):gsub("x", "%")"#, "error"),
            (#"("x"):match(("(x)"):rep(33))"#, "error"),
        ] as [(String, String)])
    func patterns(expression: String, expected: String) throws {
        let found = try value(expression)
        if expected == "error" { #expect(found.hasPrefix("on_message: "), "\(found)") } else { #expect(found == expected) }
    }

    @Test("a pattern has up to 128 items; equal sets in it count once")
    func patternSize() throws {
        let limits = {
            var l = RuleLimits(); l.callNanoseconds = 50_000_000; return l
        }()
        func ask(_ expression: String) throws -> String { try RuleRig.ask("log.info(tostring(\(expression)))", limits: limits).first ?? "" }
        #expect(try ask(#"("3f2504e04f8911d39a0c0305e82c3301"):match("^" .. ("%x"):rep(32) .. "$")"#) == "3f2504e04f8911d39a0c0305e82c3301")
        #expect(try ask(#"#("a"):rep(128):match((".") :rep(128))"#) == "128")
        #expect(try ask(#"("a"):rep(128):match((".") :rep(129))"#).contains("more than 128 items"))
        #expect(try ask(#"#("a1"):rep(64):match(("[a-f]%d"):rep(64))"#) == "128")
        #expect(
            try ask(
                #"(function() local t = {} for i = 1, 33 do t[i] = "[" .. string.char(i + 64) .. "-z]" end return ("x"):match(table.concat(t)) end)()"#
            ).contains("more than 32 different sets"))
    }

    @Test(
        "strings and tables",
        arguments: [
            (#"("%5d|%-5s|%05.1f|%x|%s|%%|%c"):format(42, "ab", 3.14159, 255, true, 65)"#, #"["   42|ab   |003.1|ff|true|%|A"]"#),
            (#"("%.3s|%5.2s|"):format("abcdef", "xyz")"#, #"["abc|   xy|"]"#), (#"("%q"):format("x")"#, "error"), (#"("%d"):format(1.5)"#, "error"),
            (#"("%d"):format("3")"#, #"["3"]"#), (#"("%s"):format()"#, "error"), (#"("ab"):rep(3, "-")"#, #"["ab-ab-ab"]"#),
            (#"("x"):rep(0)"#, #"[""]"#), (#"("x"):rep(1)"#, #"["x"]"#),
            (#"table.concat({ 1, 2, "c" }, ", ")"#, #"["1, 2, c"]"#), (#"table.concat({}, ",")"#, #"[""]"#), (#"table.concat({ {} })"#, "error"),
            (#"(function() local t = { 3, 1, 2, 5, 4, 9, 8, 7, 6, 0 } table.sort(t) return table.concat(t) end)()"#, #"["0123456789"]"#),
            (#"(function() local t = { 3, 1, 2 } table.sort(t, function(a, b) return a > b end) return table.concat(t) end)()"#, #"["321"]"#),
            (#"(function() local t = { 1, "a" } table.sort(t) end)()"#, "error"),
            (
                #"(function() local t = { 1, 2, 3 } table.insert(t, 2, 9) table.insert(t, 7) return table.concat(t, ","), table.remove(t, 1), table.remove(t), table.concat(t, ",") end)()"#,
                #"["1,9,2,3,7",1,7,"9,2,3"]"#
            ),
            (#"select('#', table.remove({}, 0), table.remove({}, nil))"#, "[2]"), (#"table.remove({ [0] = "z" }, 0)"#, #"["z"]"#),
            (#"table.remove({ 1 }, 3)"#, "error"), (#"utf8.offset("abc", 0)"#, "[1]"), (#"utf8.offset("aé", 0, 3)"#, "[2]"),
            (#"table.insert({}, 5, 1)"#, "error"), (#"table.unpack({ 1, 2, 3 }, 2)"#, "[2,3]"), (#"table.pack(1, nil, 3).n"#, "[3]"),
            (#"table.concat(table.move({ 1, 2, 3 }, 1, 3, 2), ",")"#, #"["1,1,2,3"]"#),
            (#"table.concat(table.move({ 1, 2, 3 }, 2, 3, 1), ",")"#, #"["2,3,3"]"#),
            (#"select('#', pcall(error))"#, "[2]"), (#"select(2, pcall(error, "x", 0))"#, #"["x"]"#),
            (#"select(2, xpcall(error, function(e) return e .. "!" end, "x"))"#, #"["x!"]"#),
            (#"(coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end))(1)"#, "[2]"),
            (#"select(2, pcall(coroutine.wrap(function() error("in it", 0) end)))"#, #"["in it"]"#), (#"utf8.len("äö")"#, "[2]"),
            (#"math.type(3 // 1)"#, #"["integer"]"#), (#"tostring(1e15)"#, #"["1e+15"]"#),
        ] as [(String, String)])
    func strings(expression: String, expected: String) throws {
        let found = try value(expression)
        if expected == "error" { #expect(found.hasPrefix("on_message: "), "\(found)") } else { #expect(found == expected) }
    }

    @Test("a yield goes through pcall, and what it raises is caught")
    func yieldInPcall() throws {
        #expect(
            try RuleRig.ask(
                #"""
                local co = coroutine.create(function(a)
                  local ok, b = pcall(function() local x = coroutine.yield(a) error("caught " .. x, 0) end)
                  local ok2, c = xpcall(function() return coroutine.yield(b) end, print)
                  return tostring(ok), tostring(ok2), c
                end)
                log.info(json.encode { coroutine.resume(co, 1) })
                log.info(json.encode { coroutine.resume(co, "x") })
                log.info(json.encode { coroutine.resume(co, "y") })
                log.info(json.encode { coroutine.resume(co), coroutine.status(co) })
                """#) == [#"[true,1]"#, #"[true,"caught x"]"#, #"[true,"false","true","y"]"#, #"[false,"dead"]"#])
    }

    @Test(
        "JSON is decoded strictly (RFC 8259)",
        arguments: [
            ("1", "1"), ("-0", "-0.0"), ("1.0", "1.0"), ("1e3", "1000.0"), ("9007199254740993", "9007199254740993"),
            ("9223372036854775807", "9223372036854775807"),
            ("9223372036854775808", "9223372036854775808"), ("-12345678901234567890", "-12345678901234567890"),
            (#"{"id":[123456789012345678901234567890]}"#, #"{"id":[123456789012345678901234567890]}"#),
            ("12345678901234567890.0", "1.2345678901234567e+19"), ("0.1", "0.1"), ("-19.99", "-19.99"), ("123456789.012345", "123456789.012345"),
            ("0.000000000000001", "1e-15"), ("1234567890.1234567", "1234567890.1234567"), ("2.5e-3", "0.0025"), ("-0.0", "-0.0"),
            (#""a\u00e9\ud83d\ude00\n\/""#, #""aé😀\n/""#), ("[]", "[]"), ("{}", "{}"),
            ("[[],{}]", "[[],{}]"), (#"{"b":1,"a":[true,false,null]}"#, #"{"a":[true,false,null],"b":1}"#), (" [ 1 , 2 ] ", "[1,2]"),
            (#"{"a":1,"a":2}"#, #"{"a":2}"#),
            ("\"\u{7F}\"", "\"\u{7F}\""),
            ("", "expected a value at byte 1"), ("01", "a number with a leading zero at byte 3"),
            ("1.", "a number without digits after its point at byte 3"),
            ("+1", "not a value at byte 1"), (".5", "not a value at byte 1"), ("-", "not a value at byte 2"),
            ("1e", "a number without digits in its exponent at byte 3"),
            ("1e999", "a number that is too large at byte 6"), ("NaN", "not a value at byte 1"), ("nul", "not a value at byte 1"),
            ("[1,]", "not a value at byte 4"),
            ("[1 2]", "expected , or ] at byte 4"), ("[1", "the array has no end at byte 3"), (#"{"a":1"#, "the object has no end at byte 7"),
            ("{a:1}", "expected a key in quotes at byte 2"),
            (#"{"a" 1}"#, "expected : after a key at byte 6"), (#"{"a":1,}"#, "expected a key in quotes at byte 8"),
            (#""a"#, "the text has no end at byte 3"),
            (#""\x""#, "no such escape at byte 4"), (#""\ud800""#, "a high surrogate without a low one at byte 8"),
            (#""\udc00""#, "a low surrogate without a high one at byte 8"),
            ("\"\t\"", "a control character in a text at byte 2"), ("1 2", "more after the value at byte 3"), ("'a'", "not a value at byte 1"),
            ("[1]//", "more after the value at byte 4"),
        ] as [(String, String)])
    func decode(text: String, expected: String) throws {
        let rig = try RuleRig("function R.on_message(m) local v, why = m:json() return m:with { payload = v == nil and why or json.encode(v) } end")
        #expect(rig.send("t", text).messages.map(\.payload) == [expected])
    }

    @Test("text that is not UTF-8 is neither decoded nor encoded")
    func notUTF8() throws {
        #expect(try RuleRig.ask(#"log.info(select(2, json.decode('"\xff"')))"#) == ["not UTF-8 at byte 2"])
        #expect(try RuleRig.ask(#"log.info(select(2, json.decode('"\xed\xa0\x80"')))"#) == ["not UTF-8 at byte 2"])
        #expect(try RuleRig.ask(#"json.encode("\xff")"#).first?.contains("not UTF-8") == true)
    }

    @Test(
        "JSON is encoded with sorted keys; what JSON has not is an error",
        arguments: [
            ("{ b = 1, a = { 1, 2 }, [\"c\\n\"] = \"q\\\"\" }", #"[{"a":[1,2],"b":1,"c\n":"q\""}]"#), ("json.array {}", "[[]]"), ("{}", "[{}]"),
            ("json.null", "[null]"),
            ("0.1 + 0.2", "[0.30000000000000004]"), ("1e100", "[1e+100]"), ("math.mininteger", "[-9223372036854775808]"),
            ("\"\\1\\127\"", "[\"\\u0001\u{7F}\"]"),
            ("{ [1] = 1, x = 2 }", "error"), ("{ [2] = 1 }", "error"), ("0 / 0", "error"), ("math.huge", "error"), ("print", "error"),
            ("json.decode(\"[1,[]]\")", "[[1,[]]]"),
            ("(function() local t = json.decode('[]') t.x = 1 return t end)()", "error"),
            ("(function() local t = json.decode('[1,2]') t.x = 1 return t end)()", "error"),
        ] as [(String, String)])
    func encode(expression: String, expected: String) throws {
        let found = try value(expression)
        if expected == "error" { #expect(found.contains("json.encode"), "\(found)") } else { #expect(found == expected) }
    }

    @Test(
        "an integer of more than 64 bits keeps its digits; to who calculates it is a float",
        arguments: [
            ("tostring(n)", #"["12345678901234567890"]"#), ("'id ' .. n", #"["id 12345678901234567890"]"#),
            ("n .. '!'", #"["12345678901234567890!"]"#),
            ("n == json.decode('12345678901234567890')", "[true]"), ("n == json.decode('12345678901234567891')", "[false]"),
            ("n > 5, 5 < n, n <= 5", "[true,true,false]"), ("n + 0 == 12345678901234567890.0", "[true]"), ("-n < 0", "[true]"),
            ("n * 2 / n", "[2.0]"),
            ("('%s'):format(n)", #"["12345678901234567890"]"#), ("{ n, { id = n } }", #"[[12345678901234567890,{"id":12345678901234567890}]]"#),
            ("tonumber(n)", "[1.2345678901234567e+19]"), ("tonumber('7'), tonumber('ff', 16), tonumber('x') == nil", "[7,255,true]"),
            ("('%d|%22d|%-22d|'):format(n, n, n)", #"["12345678901234567890|  12345678901234567890|12345678901234567890  |"]"#),
            ("table.concat({ 'a', n }, '-')", #"["a-12345678901234567890"]"#), ("kv.set('n', n) and kv.get('n')", #"["12345678901234567890"]"#),
            ("type(n)", #"["userdata"]"#), ("n.x", "error"), ("n & 1", "error"), ("n + {}", "error"),
        ])
    func bigIntegers(expression: String, expected: String) throws {
        let found = try RuleRig.ask("local n = json.decode('12345678901234567890') log.info(json.encode(json.array { \(expression) }))").first ?? ""
        if expected == "error" { #expect(found.hasPrefix("on_message: "), "\(found)") } else { #expect(found == expected) }
    }

    @Test("a large object keeps its keys sorted")
    func largeObject() throws {
        let rig = try RuleRig(
            "function R.on_message() local t = {} for i = 1, 100 do t[('k%03d'):format(i)] = i end return route.drop(json.encode(t)) end")
        guard case .drop(let why) = rig.send().verdict else { throw ShuntError(.internalError, "no drop") }
        #expect(why.hasPrefix(#"{"k001":1,"k002":2,"k003":3"#))
    }

    @Test(
        "hashes and base64 give the published values",
        arguments: [
            (#"hash.sha256("")"#, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (#"hash.sha256("abc")"#, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                #"hash.sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")"#,
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
            (#"hash.sha256(("a"):rep(100000))"#, "6d1cf22d7cc09b085dfc25ee1a1f3ae0265804c607bc2074ad253bcc82fd81ee"),
            (#"hash.hmac("Jefe", "what do ya want for nothing?")"#, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                #"hash.hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First")"#,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
            (#"hash.crc32("123456789")"#, "cbf43926"), (#"base64.encode("foob")"#, "Zm9vYg=="), (#"base64.encode("")"#, ""),
            (#"base64.decode("Zm9vYmE=")"#, "fooba"),
            (#"base64.decode("Zm9vYg==")"#, "foob"), (#"tostring(base64.decode("Zm9vYg="))"#, "nil"),
            (#"tostring(base64.decode("Zg==Zg=="))"#, "nil"), (#"tostring(base64.decode("Z g="))"#, "nil"),
        ] as [(String, String)])
    func hashes(expression: String, expected: String) throws {
        #expect(
            try RuleRig.ask(
                "log.info(\(expression))",
                limits: {
                    var l = RuleLimits(); l.callNanoseconds = 90_000_000; return l
                }()) == [expected])
    }

    @Test(
        "time is UTC in any zone",
        arguments: [
            ("time.now()", "[1000.0]"), ("time.format(0)", #"["1970-01-01T00:00:00Z"]"#), ("time.format(1709210096.9)", #"["2024-02-29T12:34:56Z"]"#),
            ("time.format(-1)", #"["1969-12-31T23:59:59Z"]"#), ("time.format(1704067200, '%Y%m%d %H:%M:%S %w%%')", #"["20240101 00:00:00 1%"]"#),
            ("time.parse('2024-02-29T12:34:56Z')", "[1709210096.0]"), ("time.parse('2024-02-29T13:34:56.5+01:00')", "[1709210096.5]"),
            ("time.parse('1969-12-31T23:59:59Z')", "[-1.0]"),
            ("tostring(time.parse('2023-02-29T00:00:00Z'))", #"["nil"]"#), ("tostring(time.parse('2024-02-29'))", #"["nil"]"#),
            ("tostring(time.parse('2024-02-29T12:34:56'))", #"["nil"]"#),
            ("time.format(0, '%x')", "error"), ("time.parse('2026-01-31t12:00:00z')", "[1769860800.0]"),
            ("tostring(time.parse('2026-01-31T12:00:00Z\\0junk'))", #"["nil"]"#),
        ] as [(String, String)])
    func times(expression: String, expected: String) throws {
        let found = try value(expression)
        if expected == "error" { #expect(found.hasPrefix("on_message: "), "\(found)") } else { #expect(found == expected) }
    }

    // MARK: kv and shared

    @Test("kv keeps values until their time, and a rule's own")
    func kv() throws {
        let rig = try RuleRig(
            #"""
            function R.on_message(msg)
              if msg.topic == "set" then
                kv.set("text", "a\0b", 10) kv.set("number", 1.5) kv.set("flag", false) kv.set("gone", 1) kv.delete("gone") kv.set("nil", 1) kv.set("nil", nil)
                kv.incr("n", 5, 10) kv.incr("n")
              end
              return route.drop(json.encode { #(kv.get("text") or ""), kv.get("number"), kv.get("flag"), kv.get("gone") == nil, kv.get("nil") == nil, kv.get("n") or 0 })
            end
            """#)
        #expect(rig.send("set", now: 100).verdict == .drop(why: "[3,1.5,false,true,true,6]"))
        #expect(rig.send("get", now: 109).verdict == .drop(why: "[3,1.5,false,true,true,6]"))
        #expect(rig.send("get", now: 110).verdict == .drop(why: "[0,1.5,false,true,true,0]"))
    }

    @Test("integers and floats stay what they are", arguments: ["kv", "shared"])
    func storedNumbers(store: String) throws {
        #expect(
            try RuleRig.ask(
                #"""
                local s = \#(store)
                s.set("id", 1234567890123456789) s.set("float", 5.0) s.set("largest", math.maxinteger)
                log.info(json.encode { s.get("id"), s.incr("id"), s.incr("id", -9), s.get("float"), s.incr("float"), s.incr("new"), s.incr("half", 0.5), s.incr("half", 0.5) })
                log.info(json.encode { s.get("largest"), s.incr("largest") })
                """#) == [
                    "[1234567890123456789,1234567890123456790,1234567890123456781,5.0,6.0,1,0.5,1.0]", "[9223372036854775807,9.223372036854776e+18]",
                ])
    }

    @Test(
        "no address reaches a rule",
        arguments: [
            ("tostring({})", "table"), ("tostring(print)", "function"), ("tostring(route.done())", "userdata"),
            ("('%s %s'):format({}, print)", "table function"),
            ("{}", "table"), ("tostring(json.null)", "null"), ("tostring(setmetatable({}, { __tostring = function() return 'own' end }))", "own"),
            ("tostring(msg)", "userdata"), ("tostring(coroutine.create(print))", "thread"),
        ])
    func addresses(expression: String, expected: String) throws {
        #expect(try RuleRig.ask("log.info(\(expression))") == [expected])
    }

    @Test("what is not UTF-8 is an error of utf8.codes, wherever it is", arguments: ["'\\x80abc'", "'abc\\x80'", "'\\xC3'", "'a\\xFFb'"])
    func codes(text: String) throws {
        #expect(try RuleRig.ask("for _ in utf8.codes(\(text)) do end").first?.contains("invalid UTF-8 code") == true)
        #expect(try RuleRig.ask("local n = 0 for _, c in utf8.codes('aé😀') do n = n + c end log.info(n)") == ["\(0x61 + 0xE9 + 0x1F600)"])
    }

    @Test("string.format says which conversions there are", arguments: ["%q", "%p", "%n"])
    func conversions(conversion: String) throws {
        #expect(try RuleRig.ask("log.info(('\(conversion)'):format('x'))").first?.contains("there are %c %d %i") == true)
    }

    @Test("a plain text is found wherever the budget is looked at", arguments: [0, 65_530, 65_536, 131_071, 200_000])
    func plainFind(offset: Int) throws {
        #expect(
            try RuleRig.ask("log.info((('x'):rep(\(offset)) .. 'needle' .. ('x'):rep(70000)):find('needle', 1, true) .. '')") == ["\(offset + 1)"])
    }

    @Test("incr adds to numbers only")
    func increments() throws {
        #expect(
            try RuleRig.ask("kv.set('b', '41') local ok, why = pcall(kv.incr, 'b') log.info(tostring(ok) .. kv.get('b') .. why)").first?.hasPrefix(
                "false41incr: the key has a text") == true)
        #expect(try RuleRig.ask("log.info(select(2, pcall(kv.incr, 'a', '2')))").first?.contains("number expected, got string") == true)
    }

    @Test("what has expired makes room in a full kv, wherever it is")
    func kvExpired() throws {
        var limits = RuleLimits()
        limits.kvEntries = 1000
        limits.callNanoseconds = 90_000_000
        let rig = try RuleRig(
            #"""
            function R.on_message(msg)
              if msg.topic == "fill" then
                for i = 1, 990 do kv.set("lasting" .. i, i) end
                for i = 1, 10 do kv.set("short" .. i, i, 5) end
              end
              return route.drop(tostring(select(2, kv.set("new", 1)) or "set"))
            end
            """#, limits: limits)
        #expect(rig.send("fill", now: 100).verdict == .drop(why: "full"))
        #expect(rig.send("again", now: 106).verdict == .drop(why: "set"))
    }

    @Test("a full kv has room in the moment when an entry expires")
    func kvExpires() throws {
        var limits = RuleLimits()
        limits.kvEntries = 100
        let rig = try RuleRig(
            #"""
            function R.on_message(msg, ctx)
              if msg.topic == "fill" then
                for i = 1, 100 do kv.set("short" .. i, i, 5 + (i * 37 % 100) / 100) end
              end
              local ok, why = kv.set("new" .. ctx.now, 1)
              return route.drop(tostring(why or "set"))
            end
            """#, limits: limits)
        #expect(rig.send("fill", now: 100).verdict == .drop(why: "full"))
        #expect(rig.send("again", now: 104.999).verdict == .drop(why: "full"))
        // One of them expires each hundredth of a second.
        for hundredth in 0..<100 { #expect(rig.send("again", now: 105.001 + Double(hundredth) / 100).verdict == .drop(why: "set")) }
        #expect(rig.send("again", now: 107).verdict == .drop(why: "full"))
    }

    @Test("entries that are set anew, deleted and expire in any order leave a store as its entries say")
    func kvOrders() throws {
        let body = """
            local model, count, seed = {}, 0, 7
            local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648 return seed // 65536 % n end
            R.budget = { time = "100ms" }
            function R.on_message(msg, ctx)
              for i = 1, 200 do
                local key, what = "k" .. random(60), random(4)
                if what == 0 then kv.delete(key) model[key] = nil
                else
                  local ttl = what < 3 and 1 + random(50) or nil
                  local alive = 0
                  for k, at in pairs(model) do if at <= ctx.now then model[k] = nil else alive = alive + 1 end end
                  local ok = kv.set(key, i, ttl)
                  local fits = model[key] ~= nil or alive < 30
                  assert((ok ~= nil) == fits, "full")
                  if ok then model[key] = ttl and ctx.now + ttl or math.huge end
                end
              end
              for i = 0, 59 do assert((kv.get("k" .. i) ~= nil) == ((model["k" .. i] or 0) > ctx.now), "value") end
            end
            """
        var limits = RuleLimits.ample
        limits.kvEntries = 30
        limits.callNanosecondsCap = 1_000_000_000
        let rig = try RuleRig(body, limits: limits)
        for step in 0..<100 { rig.send(now: 100 + Double(step) * 3.5) }
        #expect(rig.log.texts == [])
    }

    @Test("match is false for what has no topic")
    func matchNothing() throws {
        #expect(try RuleRig.ask("log.info(tostring(match(nil, 'a/#')) .. tostring(match(msg.key, '#')))") == ["falsefalse"])
        #expect(try RuleRig.ask("log.info(select(2, pcall(match, nil, 'a/#/b')))").first?.contains("invalid topic filter 'a/#/b'") == true)
    }

    @Test("a full kv says so, and has room again when entries expire")
    func kvFull() throws {
        var limits = RuleLimits()
        limits.kvEntries = 10
        let rig = try RuleRig(
            #"""
            function R.on_message(msg)
              local kept, why = 0
              for i = 1, 20 do local ok, w = kv.set(msg.topic .. i, i, 5) if ok then kept = kept + 1 else why = w end end
              return route.drop(kept .. " " .. tostring(why))
            end
            """#, limits: limits)
        #expect(rig.send("a", now: 100).verdict == .drop(why: "10 full"))
        #expect(rig.send("b", now: 104).verdict == .drop(why: "0 full"))
        #expect(rig.send("b", now: 105).verdict == .drop(why: "10 full"))
    }

    @Test("shared is counted in one step by loops on several threads")
    func shared() async throws {
        let store = try SharedStore()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let rig = try? RuleRig(files: ["r/rule.lua": "return { on_message = function() shared.incr('n') end }"], shared: store)
                    for _ in 0..<1000 { rig?.send() }
                }
            }
        }
        let rig = try RuleRig(files: ["r/rule.lua": "return { on_message = function() return route.drop(shared.get('n')) end }"], shared: store)
        #expect(rig.send().verdict == .drop(why: "4000"))
        #expect(store.count == 1)
    }
}
