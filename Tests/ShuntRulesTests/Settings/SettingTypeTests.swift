import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Types of settings")
struct SettingTypeTests {
    /// A type, a value, and what the rule gets of it.
    static let taken: [(String, SettingValue, SettingValue)] = [
        ("text", "a", "a"), ("text", "", ""), ("text { min = 1, max = 2 }", "ab", "ab"), ("text { pattern = '^a+$' }", "aa", "aa"),
        ("integer { min = -5 }", -5, -5), ("integer", 5, 5), ("integer", -5, -5), ("integer", 5.0, 5), ("integer { min = 0, max = 16 }", 16, 16),
        ("integer", .int(.max), .int(.max)), ("number", 5, 5), ("number", 1.5, 1.5), ("number { min = 0 }", 0, 0),
        ("boolean", true, true), ("boolean", false, false),
        ("duration", 600, 600), ("duration", 0.5, 0.5), ("duration", "10m", 600), ("duration", "1.5s", 1.5), ("duration", "2 h", 7200),
        ("duration", "250ms", 0.25), ("duration", "1d", 86400), ("duration", "1500us", 0.0015), ("duration { max = '7d' }", "7d", 604800),
        ("size", 512, 512), ("size", "64KiB", 65536), ("size", "1.5MiB", 1_572_864), ("size", "2GiB", 2_147_483_648), ("size", "9B", 9),
        ("topic", "orders/1", "orders/1"), ("filter", "orders/+", "orders/+"), ("filter", "#", "#"), ("filter", "a", "a"),
        ("path", "card.pin", ["card", "pin"]), ("path", "items.*.cost", ["items", "*", "cost"]), ("path", "a.10", ["a", "10"]),
        ("enum { 'drop', 'reject' }", "drop", "drop"), ("enum { 1, 2.5, true }", 2.5, 2.5), ("enum('a', 'b')", "b", "b"),
        ("enum({ 'a' }, { doc = 'x' })", "a", "a"), ("enum { 'a', doc = 'x' }", "a", "a"),
        ("list(text)", ["a", "b"], ["a", "b"]), ("list(path)", ["a.b"], [["a", "b"]]), ("list(text)", [], []), ("list(text)", [:], [:]),
        ("list(text, { min = 1, max = 2 })", ["a"], ["a"]), ("list(list(integer))", [[1], [2, 3]], [[1], [2, 3]]),
        ("list { topic = filter }", [["topic": "a/#"]], [["topic": "a/#"]]),
        ("map(duration)", ["a": "1m", "b": 5], ["a": 60, "b": 5]), ("map(list(any), { max = 3 })", ["x.y": [1, true]], ["x.y": [1, true]]),
        ("table { a = integer }", ["a": 1], ["a": 1]), ("{ a = integer, b = text { optional = true } }", ["a": 1], ["a": 1]),
        ("any", ["a": [1, ["b": true]]], ["a": [1, ["b": true]]]), ("any", 5, 5),
    ]

    @Test("what each takes, and what the rule gets of it", arguments: taken)
    func takes(type: String, given: SettingValue, expected: SettingValue) throws {
        let got = try SettingsRig("{ x = \(type) }").taken(["x": given])
        // An empty table of Lua is a list and a table.
        let same = got == ["x": expected] || (given == [:] && got == ["x": []])
        #expect(same, "\(got)")
    }

    /// A type, a value, what the error says of it, and what would be right.
    static let refused: [(String, SettingValue, String, String)] = [
        ("text", 5, "is 5", "in quotes it is a text; a text"), ("text", ["a"], "is a list", "a text"), ("text", true, "is true", "in quotes"),
        ("text { min = 1, max = 2 }", "", "is \"\"", "a text of 1 to 2 bytes"), ("text { max = 2 }", "åå", "is \"åå\"", "at most 2 bytes"),
        ("text { pattern = '^a+$' }", "ab", "is \"ab\"", "matches ^a+$"),
        ("integer", 1.5, "is 1.5", "a whole number"), ("integer", "5", "is \"5\"", "a whole number"),
        ("integer { min = 0, max = 16 }", 17, "is 17", "a whole number from 0 to 16"), ("integer { max = 16 }", 17, "is 17", "at most 16"),
        ("integer", 1e300, "is 1e+300", "a whole number"), ("number", "1", "is \"1\"", "a number"),
        ("number { min = 0 }", -0.5, "is -0.5", "at least 0"),
        ("number", .double(.infinity), "is inf", "a number"), ("boolean", "yes", "is \"yes\"", "true or false"),
        ("boolean", 1, "is 1", "true or false"),
        ("duration", "10", "is \"10\"", "\"30s\""), ("duration", "10min", "is \"10min\"", "\"5m\""), ("duration", -1, "is -1", "a duration"),
        ("duration", "-1s", "is \"-1s\"", "a duration"), ("duration", "1.s", "is \"1.s\"", "a duration"), ("duration", "s", "is \"s\"", "a duration"),
        ("duration { min = '1s', max = '7d' }", "8d", "is \"8d\"", "seconds: from 1s to 7d"), ("duration", true, "is true", "a duration"),
        ("size", "1MB", "is \"1MB\"", "\"1MiB\""), ("size", -1, "is -1", "a size"), ("size", 1.5, "is 1.5", "a size"),
        ("size { max = '1MiB' }", "2MiB", "is \"2MiB\"", "at most 1MiB"),
        ("topic", "a/+", "is \"a/+\"", "without + and #"), ("topic", "", "is \"\"", "a topic"), ("filter", "a/#/b", "is \"a/#/b\"", "a topic filter"),
        ("filter", "", "is \"\"", "a topic filter"), ("path", "a..b", "is \"a..b\"", "a dotted path"), ("path", "", "is \"\"", "a dotted path"),
        ("path", "a.0", "is \"a.0\"", "first member is 1"), ("path", 1, "is 1", "in quotes it is a text"),
        ("enum { 'drop', 'reject' }", "rejct", "is \"rejct\"", "did you mean reject? one of drop, reject"),
        ("enum { 1, 2 }", "1", "is \"1\"", "without quotes it is a number; one of 1, 2"),
        ("enum { 'on', 'off', '1' }", 1, "is 1", "in quotes it is a text; one of on, off, 1"),
        ("enum { 'yes', 'true' }", true, "is true", "in quotes it is a text; one of yes, true"),
        ("list(text)", "a", "is a text", "a list, each a text"), ("list(text)", ["a": 1], "is a table", "a list"),
        ("list(text, { min = 1 })", [], "has 0 elements", "a list of at least 1 element, each a text"),
        ("list(text, { max = 1 })", ["a", "b"], "has 2 elements", "at most 1 element"),
        ("map(text)", ["a"], "is a list", "names with values"), ("map(text, { min = 1 })", [:], "has 0 entries", "at least 1 entry"),
        ("table { a = integer }", "a", "is a text", "a table with a"), ("{ a = integer }", [1], "is a list", "a table with a"),
    ]

    @Test("what each refuses, and what would be right", arguments: refused)
    func refuses(type: String, given: SettingValue, what: String, right: String) throws {
        let errors = try SettingsRig("{ x = \(type) }").errors(["x": given])
        #expect(errors.count == 1)
        #expect(errors.first?.location == "rules.settings.r.x")
        #expect(errors.first?.message == "rules.settings.r.x \(what)")
        #expect(errors.first?.help?.contains(right) == true, "\(errors)")
    }

    @Test("where there is one value alone, it is told without a guess")
    func oneValue() throws {
        #expect(try SettingsRig("{ x = enum { 'drop' } }").errors(["x": "drp"]).map(\.help) == ["drop"])
    }

    @Test("what is too long tells the mistakes within it, too", arguments: ["list(integer, { max = 1 })", "map(integer, { max = 1 })"])
    func tooLong(type: String) throws {
        let given: SettingValue = type.hasPrefix("list") ? [1, "b"] : ["a": 1, "b": "b"]
        let errors = try SettingsRig("{ x = \(type) }").errors(["x": given])
        #expect(errors.map(\.code) == [.configRange, .configType])
    }

    @Test("an error names the value that is wrong, however deep, and all of them are told")
    func nested() throws {
        let rig = try SettingsRig(
            """
            { redactions = list { topic = filter, remove = list(path, { optional = true }) }, more = map(table { at = duration }),
              keep = integer { default = 4 } }
            """)
        let errors = rig.errors([
            "redactions": [["topic": "a", "remove": ["x"]], ["topic": "b", "remove": [5, "y", "a..b"]], ["remov": ["z"]]],
            "more": ["k": ["at": "soon"]],
            "keeplast": 3,
        ])
        #expect(
            errors.map(\.location) == [
                "rules.settings.r.keeplast", "rules.settings.r.more.k.at", "rules.settings.r.redactions[1].remove[0]",
                "rules.settings.r.redactions[1].remove[2]", "rules.settings.r.redactions[2].remov", "rules.settings.r.redactions[2].topic",
            ])
        #expect(errors.map(\.code) == [.configUnknownKey, .configType, .configType, .configRange, .configUnknownKey, .configMissing])
        #expect(errors[4].message == "unknown key remov in rules.settings.r.redactions[2]")
        #expect(errors[4].help == "did you mean remove? it has remove, topic")
        #expect(errors[5].message == "rules.settings.r.redactions[2].topic is missing")
    }

    @Test("a null in a list is an error, of any type, and where the rule says nothing of its settings")
    func nulls() throws {
        for type in ["list(text)", "list(any)", "list(list(any))", "any", "map(any)", "list(text, { optional = true })"] {
            let inner: SettingValue = type.hasPrefix("list(list") ? [["a", .null]] : type.hasPrefix("map") ? ["k": ["a", .null]] : ["a", .null]
            let errors = try SettingsRig("{ x = \(type) }").errors(["x": inner])
            #expect(errors.count == 1 && errors[0].message.hasSuffix("[1] is null"), "\(type): \(errors)")
        }
        let errors = try SettingsRig("nil").errors(["a": [1, ["b": [.null]]]])
        #expect(errors.map(\.location) == ["rules.settings.r.a[1].b[0]"])
        #expect(try SettingsRig("{ x = map(text) }").errors(["x": ["a": .null]]).map(\.message) == ["rules.settings.r.x.a is null"])
    }

    @Test("a rule that says nothing of its settings gets them as they are")
    func none() throws {
        let given: SettingValue = ["a": [1, "x", ["b": true]], "c": "10m"]
        #expect(try SettingsRig("nil").taken(given) == given)
        #expect(try SettingsRig("{}").taken([:]) == [:])
        #expect(try SettingsRig("{}").errors(["a": 1]).first?.help == "it has no keys")
        #expect(try SettingsRig("{ a = text { optional = true } }").errors("x").first?.message == "rules.settings.r is a text")
    }

    @Test("defaults are filled in where a setting is left out or empty, below tables too")
    func defaults() throws {
        let rig = try SettingsRig(
            """
            { a = integer { default = 4 }, b = text { optional = true }, c = duration { default = "1m" }, d = path { default = "x.y" },
              e = table { f = size { default = "1KiB" }, g = text { optional = true } },
              h = table({ i = integer { default = 1 } }, { optional = true }),
              l = list({ m = integer { default = 2 }, n = text }, { default = {} }), o = table({ p = text }, { optional = true }) }
            """)
        #expect(try rig.taken([:]) == ["a": 4, "c": 60, "d": ["x", "y"], "e": ["f": 1024], "l": []])
        #expect(
            try rig.taken(["a": .null, "b": .null, "e": ["g": "x"], "h": [:], "l": [["n": "z"]]]) == [
                "a": 4, "c": 60, "d": ["x", "y"], "e": ["f": 1024, "g": "x"], "h": ["i": 1], "l": [["m": 2, "n": "z"]],
            ])
        #expect(rig.errors(["o": [:]]).map(\.message) == ["rules.settings.r.o.p is missing"])
        #expect(try SettingsRig("{ a = { b = text } }").errors([:]).map(\.message) == ["rules.settings.r.a is missing"])
        #expect(try SettingsRig("{ a = text }").errors(["a": .null]).map(\.message) == ["rules.settings.r.a is empty"])
        #expect(try SettingsRig("{ a = text }").errors(.null).map(\.message) == ["rules.settings.r.a is missing"])
    }

    @Test("on_load and ctx.settings get the checked values")
    func given() throws {
        let rig = try SettingsRig(
            "{ every = duration, most = size { default = '1KiB' }, at = path }",
            onLoad: "assert(settings.every == 90 and settings.most == 1024 and settings.at[2] == 'pin' and math.type(settings.most) == 'integer')")
        _ = try rig.taken(["every": "1.5m", "at": "card.pin"])
    }

    @Test("so many errors are told that people read them")
    func bounded() throws {
        let rig = try SettingsRig("{ x = list(text) }")
        #expect(rig.errors(["x": .array((0..<1000).map { .int($0) })]).count == 20)
    }
}
