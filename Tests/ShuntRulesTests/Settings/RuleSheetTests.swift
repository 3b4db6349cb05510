import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule show, and plugins' pages")
struct RuleSheetTests {
    private static let rule = """
        return {
          name = "door", priority = 7, match = { kind = "topic", topic = { "a/+", "b" } }, budget = { time = "1ms", memory = "64KiB" },
          on_error = "drop", mode = "shadow", tick = 300, breaker = { errors = 3, retry = "1m" },
          grants = { publish = { "audit/#" }, broadcast = true },
          settings = {
            keep = integer { default = 4, min = 0, max = 16, doc = "characters | that stay" },
            rules = list { topic = filter, what = enum({ "x", "y" }, { default = "x", doc = "which" }) },
            every = duration { optional = true, min = "1s" },
            salt = text { secret = true, default = "salt and pepper" },
          },
          on_message = function() end, on_tick = function() end,
        }
        """

    @Test(
        "tells what stands where each of the rule's hooks fails",
        arguments: [
            ("on_message, on_auth, on_subscribe, on_tick", "reject for on_auth, on_subscribe; pass for on_message"),
            ("on_register, on_will, on_select", "pass for on_register, on_will"), ("on_connect", "reject for on_connect"),
            ("on_select, on_tick", "means nothing: its hooks decide nothing"),
        ])
    func onError(hooks: String, told: String) throws {
        let functions = hooks.split(separator: ",").map { "\($0) = function() end" }.joined(separator: ", ")
        let folder = try PluginFolder(["r/rule.lua": "return { \(functions) }"])
        #expect(try RuleSheet(path: folder.path + "/r").text.contains("on_error  \(told)\n"))
        for hook in RuleHook.called {
            guard let place = hook.index else { continue }
            #expect(try RuleSet.load(directory: folder.path).rules[0].definition.onError(of: place) == hook.standardOnError ?? .pass)
        }
    }

    @Test("tells what a rule says of itself")
    func text() throws {
        let folder = try PluginFolder(["plugins/door/rule.lua": Self.rule])
        let sheet = try RuleSheet(name: "door", in: folder.path + "/plugins")
        #expect(
            sheet.text == """
                rule      door
                folder    \(folder.path)/plugins/door
                priority  7
                mode      shadow
                match     kind topic; topic a/+, b
                budget    1ms, 64KiB
                on_error  drop
                breaker   more than 3 errors in 10s switch it off for 1m
                hooks     on_message, on_tick
                tick      every 5m
                grants    publish audit/#; broadcast

                SETTING        TAKES; DEFAULT, AND MEANING
                rules          list of tables; required
                rules[].topic  filter; required
                rules[].what   x or y; default x
                               which
                every          duration of at least 1s; optional
                keep           integer from 0 to 16; default 4
                               characters | that stay
                salt           text, secret; default (hidden)
                """)
    }

    @Test("fits 80 columns, whatever the names and meanings are")
    func narrow() throws {
        let words = String(repeating: "many words ", count: 20)
        let name = String(repeating: "n", count: 60)
        let folder = try PluginFolder([
            "door/rule.lua":
                "return { settings = { \(name) = text { doc = '\(words)' }, b = text { doc = '\(words)' } }, on_message = function() end }"
        ])
        let text = try RuleSheet(path: folder.path + "/door").text
        #expect(text.contains("\n\(name)\n"), "what is longer than the column has a line of its own")
        let lines = text.split(separator: "\n").drop { !$0.hasPrefix("SETTING") }
        #expect(lines.allSatisfy { $0.count <= 80 } && lines.count > 6, "\(text)")
    }

    @Test("the same as JSON, and the settings in Markdown")
    func others() throws {
        let folder = try PluginFolder(["plugins/door/rule.lua": Self.rule])
        let sheet = try RuleSheet(path: folder.path + "/plugins/door/rule.lua")
        let all = try #require(try JSONSerialization.jsonObject(with: Data(sheet.json.utf8)) as? [String: Any])
        #expect(all["name"] as? String == "door" && all["priority"] as? Int == 7 && all["hooks"] as? [String] == ["on_message", "on_tick"])
        let settings = try #require(all["settings"] as? [[String: Any]])
        #expect(settings.map { $0["name"] as? String } == ["rules", "rules[].topic", "rules[].what", "every", "keep", "salt"])
        #expect(settings[4]["default"] as? Int == 4 && settings[4]["max"] as? Int == 16 && settings[2]["values"] as? [String] == ["x", "y"])
        #expect(settings[5]["default"] as? String == "(hidden)" && settings[0]["required"] as? Bool == true)
        #expect(all["mode"] as? String == "shadow" && all["tick"] as? Int == 300)
        #expect(all["breaker"] as? [String: Int] == ["errors": 3, "window": 10, "retry": 60])
        #expect(!sheet.json.contains("\n"))
        #expect(sheet.page.contains(#"| `keep` | integer from 0 to 16 | `4` | characters \| that stay |"#))
        #expect(sheet.page.contains("| `salt` | text, secret | (hidden) |  |"))
    }

    @Test("no secret stands in the default of what it is a part of")
    func secrets() throws {
        let rule = """
            return { on_message = function() end, settings = {
              logins = list({ user = text, pass = text { secret = true } }, { default = { { user = "bob", pass = "secret 1" } } }),
              tokens = map(text { secret = true }, { default = { one = "secret 2" } }),
              hook = table({ url = text, token = text { secret = true } }, { default = { url = "u", token = "secret 3" } }),
              keys = list({ key = text { default = "secret 4" } }, { secret = true, optional = true }),
            } }
            """
        let folder = try PluginFolder(["door/rule.lua": rule])
        let sheet = try RuleSheet(path: folder.path + "/door")
        for text in [sheet.text, sheet.json, sheet.page] { #expect(!text.contains("secret 1") && !text.contains(/secret [0-9]/), "\(text)") }
        #expect(sheet.page.contains(#"| `logins` | list of tables | `[{pass: "(hidden)", user: "bob"}]` |"#), "\(sheet.page)")
        #expect(sheet.page.contains("| `tokens` | map of text, secret | (hidden) |"), "\(sheet.page)")
        #expect(sheet.page.contains("| `keys[].key` | text, secret | (hidden) |"), "\(sheet.page)")
    }

    @Test("a plugin that is not there is told with the nearest one")
    func missing() throws {
        let folder = try PluginFolder(["plugins/door/rule.lua": Self.rule])
        #expect { try RuleSheet(name: "dor", in: folder.path + "/plugins") } throws: {
            ($0 as? ShuntError)?.code == .ruleMissing && ($0 as? ShuntError)?.help?.contains("did you mean door?") == true
        }
    }

    /// After a change of a plugin's settings: `UPDATE_REFERENCE=1 swift test --filter RuleSheetTests`
    @Test("the table in a plugin's README is what the rule says", arguments: PluginTests.names)
    func page(name: String) throws {
        let folder = "\(PluginTests.directory)/\(name)"
        let file = URL(fileURLWithPath: folder + "/README.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let marks = RuleSheet.pageMarks
        let start = try #require(text.range(of: marks.start)?.upperBound, "\(name) has no table of its settings")
        let end = try #require(text.range(of: marks.end)?.lowerBound)
        let page = try RuleSheet(path: folder).page
        if ProcessInfo.processInfo.environment["UPDATE_REFERENCE"] == "1" {
            try Data(text.replacingCharacters(in: start..<end, with: page).utf8).write(to: file)
        } else {
            #expect(text[start..<end] == page)
        }
    }

    @Test("so is that of a new plugin", arguments: RuleTemplate.Kind.allCases)
    func template(kind: RuleTemplate.Kind) throws {
        let template = try RuleTemplate(name: "fresh", kind: kind)
        let folder = try PluginFolder(Dictionary(uniqueKeysWithValues: template.files.map { ("plugins/fresh/\($0.name)", $0.text) }))
        let readme = try #require(template.files.first { $0.name == "README.md" }?.text)
        let marks = RuleSheet.pageMarks
        let sheet = try RuleSheet(name: "fresh", in: folder.path + "/plugins")
        guard kind != .connect else {
            #expect(!readme.contains(marks.start))
            return
        }
        #expect(readme.contains(marks.start + sheet.page + marks.end), "\(sheet.page)")
    }
}
