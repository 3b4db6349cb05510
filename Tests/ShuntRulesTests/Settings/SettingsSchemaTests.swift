import ShuntCore
import Testing

@testable import ShuntRules

@Suite("What a rule says of its settings")
struct SettingsSchemaTests {
    static let wrong: [(String, String, String)] = [
        ("5", "settings is a number", "types by the settings' names"), ("{ 5 }", "settings is a list", "types by"),
        ("{ text }", "settings is a list", "types by the settings' names"), ("text", "settings is one type", "a table of them"),
        ("list(text)", "settings is one type", "a table of them"), ("{ x = 5 }", "settings.x is a number, not a type", "types: text, integer"),
        ("{ x = 'integr' }", "settings.x is a text, not a type", "did you mean integer, without quotes?"),
        ("{ x = table }", "settings.x is the library table", "table { … }"), ("{ x = string }", "settings.x is the library string", "text"),
        ("{ x = interger }", "unknown type interger", "did you mean integer?"), ("{ x = bool }", "unknown type bool", "did you mean boolean?"),
        ("{ x = list(pth) }", "unknown type pth", "did you mean path?"),
        ("{ x = list() }", "settings.x: list does not say what is in it", "list(text)"),
        ("{ x = map {} }", "", ""), ("{ x = list { text, optional = true } }", "settings.x[] has a type without a name", "braces of their own"),
        ("{ x = list(text, 5) }", "settings.x: list is given a number too many", "list(text, {"),
        ("{ x = list(text, text) }", "settings.x: list is given a table too many", "list(text, {"),
        ("{ x = integer(5) }", "settings.x: integer is given a number too many", "integer { optional"),
        ("{ x = integer { minimum = 5 } }", "settings.x: integer is given the unknown option minimum", "options: optional"),
        ("{ x = integer { defalt = 5 } }", "the unknown option defalt", "did you mean default?"),
        ("{ x = integer { optional = 5 } }", "settings.x: optional is a number", "true or false"),
        ("{ x = integer { doc = 5 } }", "settings.x: doc is a number", "a text"),
        ("{ x = boolean { min = 5 } }", "settings.x: boolean has no min", "leave it out"),
        ("{ x = integer { pattern = 'a' } }", "settings.x: integer has no pattern", "leave it out"),
        ("{ x = integer { min = 'a' } }", "settings.x: min is a text", "a number"),
        ("{ x = duration { max = 'a' } }", "settings.x: max is a text", "1s"),
        ("{ x = integer { min = 5, max = 4 } }", "settings.x: min is more than max", "min = 4"),
        ("{ x = text { pattern = '[' } }", "settings.x: the pattern \"[\" is none of Lua", "^%a+$"),
        ("{ x = enum {} }", "settings.x: enum needs its values", "enum {"), ("{ x = enum }", "settings.x: enum needs its values", "enum {"),
        ("{ x = enum { { 'a' } } }", "settings.x: enum needs its values", "enum {"),
        ("{ x = integer { default = 99, max = 16 } }", "the default of settings.x does not fit: settings.x is 99", "at most 16"),
        ("{ x = list(path, { default = { 'a..b' } }) }", "the default of settings.x does not fit: settings.x[0] is \"a..b\"", "a dotted path"),
        ("{ x = text { default = 'b', pattern = 'a' } }", "the default of settings.x does not fit", "matches a"),
        ("{ x = enum { 'a', 'b', default = 'c' } }", "the default of settings.x does not fit: settings.x is \"c\"", "one of a, b"),
        ("{ x = list { text } }", "settings.x: list is given braces with text in them", "list(text), or list(text, {"),
        ("{ x = map({ integer }) }", "settings.x: map is given braces with integer in them", "map(integer)"),
        ("{ x = text { min = -1 } }", "settings.x: min is -1", "a number of at least 0"),
        ("{ x = list(text, { max = -1 }) }", "settings.x: max is -1", "a number of at least 0"),
        ("{ x = enum { 'a', 'b', 'a' } }", "settings.x: enum names \"a\" twice", "each value once"),
        ("{ x = { y = { z = 5 } } }", "settings.x.y.z is a number, not a type", "types:"),
    ]

    @Test("what is wrong with it is told with the line of the rule's file", arguments: wrong)
    func faults(settings: String, message: String, help: String) throws {
        guard !message.isEmpty else { return }
        let fault = try SettingsRig.fault(settings)
        #expect(fault?.code == .ruleInvalid)
        #expect(fault?.message.contains(message) == true, "\(String(describing: fault))")
        #expect(fault?.help?.contains(help) == true, "\(String(describing: fault))")
        #expect(fault?.location?.hasSuffix("plugins/r/rule.lua:3") == true, "\(String(describing: fault?.location))")
    }

    @Test("the words are there while the rule's files load, in those that it requires too, and not later")
    func scope() throws {
        let folder = try PluginFolder([
            "plugins/r/rule.lua": """
            local list, number = 1, "mine"
            assert(list == 1 and number == "mine")
            any = "my own global"
            local made = require "made"
            local R = { settings = made }
            function R.on_load(settings)
              assert(text == nil and integer == nil and duration == nil and path == nil and map == nil and enum == nil, "words are there")
              assert(any == "my own global")
              assert(settings.x == 60 and table.concat({ 1, 2 }, ",") == "1,2")
              assert(getmetatable(table) == nil and getmetatable(_G) == nil and not pcall(table, {}))
              for name in pairs(_G) do assert(name ~= "filter" and name ~= "topic" and name ~= "boolean" and name ~= "size") end
            end
            function R.on_message() end
            return R
            """,
            "plugins/r/made.lua": """
            assert(table.concat({ "a", "b" }) == "ab")
            return { x = duration { default = "1m" }, y = table({ z = integer }, { optional = true }) }
            """,
        ])
        let set = try RuleSet.load(directory: folder.path + "/plugins")
        #expect(set.warnings.isEmpty, "\(set.warnings)")
        #expect(set.rules[0].settings == ["x": 60])
    }

    @Test("a rule that is strict about its globals, or tests for them, loads")
    func strict() throws {
        let rig = try SettingsRig(
            "{ x = integer { default = 1 } }",
            before: "local known = DEBUG or host\nsetmetatable(_G, { __index = function(_, name) error('no global ' .. name) end })")
        #expect(try rig.taken([:]) == ["x": 1])
    }

    @Test("a place is that of the word, also where another file says it")
    func places() throws {
        let folder = try PluginFolder([
            "plugins/r/rule.lua": "return { settings = require('made'), on_message = function() end }",
            "plugins/r/made.lua": "return {\n  x = integer {\n    default = 'a',\n  },\n}",
        ])
        #expect { try RuleSet.load(directory: folder.path + "/plugins") } throws: { error in
            (error as? ShuntError)?.location?.hasSuffix("plugins/r/made.lua:2") == true
        }
    }

    @Test("a table within itself, and very many types, end in an error or load, and nothing else")
    func hostile() throws {
        #expect(try SettingsRig.fault("LOOP", before: "LOOP = {} LOOP.x = LOOP")?.code == .ruleInvalid)
        #expect(try SettingsRig.fault("LOOP", before: "LOOP = {} LOOP.x = list(LOOP)")?.code == .ruleInvalid)
        let deep = String(repeating: "list(", count: 40) + "text" + String(repeating: ")", count: 40)
        #expect(try SettingsRig.fault("{ x = \(deep) }")?.code == .ruleInvalid)
        #expect(try SettingsRig.fault("MANY", before: "MANY = {} for i = 1, 200000 do MANY['k' .. i] = text end") != nil)
        #expect(
            try SettingsRig.fault("{ x = enum(table.unpack(MANY)) }", before: "MANY = {} for i = 1, 300 do MANY[i] = 'k' .. i end")?.code
                == .ruleInvalid)
    }

    @Test("the table of types is the one that C has, and each type can be read")
    func words() throws {
        #expect(
            SettingsSchema.words.map(\.name) == [
                "text", "integer", "number", "boolean", "duration", "size", "topic", "filter", "path", "enum", "list", "map", "table", "any",
            ])
        for (name, doc) in SettingsSchema.words {
            #expect(!doc.isEmpty)
            let call =
                ["list", "map"].contains(name) ? "\(name)(text)" : name == "enum" ? "enum { 'a' }" : name == "table" ? "table { y = text }" : name
            #expect(try SettingsRig("{ x = \(call) }").errors([:]).map(\.code) == [.configMissing], "\(name)")
        }
    }

    @Test("docs/rules.md has the table of types, and of what may stand in their braces")
    func page() throws {
        let page = try String(contentsOfFile: PluginTests.directory + "/../docs/rules.md", encoding: .utf8)
        for (name, doc) in SettingsSchema.words + SettingsSchema.options { #expect(page.contains("| `\(name)` | \(doc) |\n"), "\(name)") }
    }

    @Test("an error of on_load that begins with a setting is about the configuration")
    func onLoad() throws {
        for settings in ["{ routes = list { to = list(text) } }", "nil"] {
            let rig = try SettingsRig(settings, onLoad: "error('settings.routes[1].to[2]: \\'' .. settings.routes[1].to[2] .. '\\' is no topic', 0)")
            let error = rig.errors(["routes": [["to": ["a", "+"]]]]).first
            #expect(error?.location == "rules.settings.r.routes[0].to[1]")
            #expect(error?.message == "rules.settings.r.routes[0].to[1]: '+' is no topic")
        }
        let other = try SettingsRig("nil", onLoad: "error('settingsx: no', 0)").errors([:]).first
        #expect(other?.location?.hasSuffix("rule.lua") == true && other?.message == "settingsx: no")
    }

    // MARK: secrets

    @Test("a secret is in no error, in no page, and not in what the rule raises or logs")
    func secrets() throws {
        let rig = try SettingsRig(
            """
            { salt = text { secret = true, min = 8, default = "a default of it", doc = "d" },
              keys = map(text { max = 5 }, { secret = true, optional = true }),
              pin = integer { secret = true, max = 5, optional = true } }
            """,
            onLoad:
                "log.info('salt ' .. settings.salt, { salt = settings.salt }) if settings.salt == 'raises it' then error('bad ' .. settings.salt) end"
        )
        for given: SettingValue in [
            ["salt": "hunt2"], ["pin": 31337], ["keys": ["a": "hunter2"]], ["keys": "hunter2"], ["pin": "hunter2"], ["salt": ["hunter2"]],
        ] {
            let errors = rig.errors(given)
            #expect(errors.count == 1)
            #expect(!"\(errors)".contains("hunt") && !"\(errors)".contains("31337"), "\(errors)")
        }
        let raised = rig.errors(["salt": "raises it"])
        #expect(raised.first?.message.hasPrefix("bad (hidden)") == true, "\(raised)")
        let sheet = try RuleSheet(path: rig.folder.path + "/plugins/r")
        for text in [sheet.text, sheet.json, sheet.page] { #expect(!text.contains("a default of it") && text.contains("(hidden)")) }
        let lines = LogLines()
        let set = try rig.load(["salt": "hunter2 \"quoted\""])
        _ = try LoopRules(set: set, worker: "w", loop: 0, shared: SharedStore(), log: { lines.add($0) }, inflate: { _, _, _, _ in [] }, now: 1)
        #expect(lines.texts == ["salt (hidden)"])
        #expect(lines.all.first?.fields == #"{"salt":"(hidden)"}"#)
    }
}
