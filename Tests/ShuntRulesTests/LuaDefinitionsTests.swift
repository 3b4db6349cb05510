import Foundation
import ShuntCore
import Synchronization
import Testing

@testable import ShuntRules

@Suite("Definitions for editors")
struct LuaDefinitionsTests {
    /// Logs all globals, what is in their tables, and what objects say that they have when they are asked for something else.
    private static let walker = """
        local function fields(of) local _, why = pcall(function() return of.nothing_like_it end) return why end
        local function tell(name, of) log.info(name .. " " .. fields(of)) end
        return {
          on_load = function()
            for name, value in pairs(_G) do
              if type(value) == "table" and name ~= "_G" then
                local done = pcall(function() for member in pairs(value) do log.info("global " .. name .. "." .. member) end return value.x end)
                if not done then name = nil end
              end
              if name then log.info("global " .. name) end
            end
          end,
          on_message = function(msg, ctx) tell("message", msg) tell("client", msg.sender) tell("context", ctx) tell("counter", counter("x")) end,
          on_chat = function(msg, chat) tell("chat", chat) end,
          on_subscribe = function(sub) tell("subscription", sub) end,
        }
        """

    private final class Lines: Sendable {
        private let entries = Mutex<[String]>([])
        func add(_ text: String) { entries.withLock { $0.append(text) } }
        var all: [String] { entries.withLock { $0 } }
    }

    private func walked(_ rule: String = Self.walker) throws -> [String] {
        let lines = Lines()
        var limits = RuleLimits()
        limits.logLinesPerSecond = 10_000
        let set = try RuleSet(plugins: [RulePlugin(name: "walker", rule: rule)], limits: limits)
        let rules = try LoopRules(
            set: set, worker: "w", loop: 0, limits: limits, shared: try SharedStore(), log: { lines.add($0.text) }, inflate: { _, _, _, _ in [] },
            now: 0)
        let clients = TestClients()
        rules.peers = clients
        let client = clients.client(["uid": "u"])
        _ = rules.onSubscribe(SubscriptionRequest(topic: "a", group: "g"), from: client.id, now: 0)
        for kind in [MessageKind.topic, .chat] {
            TestMessage([:], kind, topic: "t", client.id).withView { view, _ in
                _ =
                    kind == .chat
                    ? rules.onChat(view, in: ChatView(id: "t", members: [], createdAt: 0), now: 0)
                    : rules.onMessage(view, selection: rules.selection(for: .topic, topic: view.topic), now: 0)
            }
        }
        return lines.all
    }

    /// Lua's own, which the language server knows.
    private static let lua: Set<String> = [
        "_G", "_VERSION", "assert", "collectgarbage", "coroutine", "error", "getmetatable", "ipairs", "math", "next", "pairs", "pcall", "print",
        "rawequal", "rawget", "rawlen", "rawset", "select", "setmetatable", "string", "table", "tonumber", "tostring", "type", "utf8", "xpcall",
    ]

    @Test("Every global of a real state is defined or Lua's own, and every one that is defined is there")
    func globals() throws {
        let found = Set(try walked().filter { $0.hasPrefix("global ") }.map { String($0.dropFirst(7)) })
        let own = found.filter { !Self.lua.contains(String($0.split(separator: ".")[0])) }
        var defined = Set(LuaDefinitions.functions.map(\.name))
        for library in LuaDefinitions.libraries {
            defined.insert(library.name)
            let members =
                library.type == nil ? library.fields.map(\.name) + library.functions.map(\.name) : LuaDefinitions.store.fields.map(\.name)
            defined.formUnion(members.map { "\(library.name).\($0)" })
        }
        #expect(own.sorted() == defined.sorted())
    }

    @Test(
        "Every object has the fields that are defined, and no other",
        arguments: [
            ("message", LuaDefinitions.message), ("client", LuaDefinitions.client), ("context", LuaDefinitions.context),
            ("chat", LuaDefinitions.chat),
            ("subscription", LuaDefinitions.subscription), ("counter", LuaDefinitions.counterClass),
        ])
    func objects(_ name: String, _ defined: LuaDefinitions.Class) throws {
        let line = try #require(try walked().first { $0.hasPrefix(name + " ") })
        let list = try #require(line.components(separatedBy: "has ").last).replacing(", not 'nothing_like_it'", with: "")
        let found = list.components(separatedBy: ", ").map { $0.replacing("()", with: "").replacing("{}", with: "") }
        #expect(found.sorted() == (defined.fields.map(\.name) + defined.methods.map(\.name)).sorted())
    }

    @Test("Every hook that this version calls is defined, and so are the keys of a rule's table")
    func hooks() throws {
        let keys = LuaDefinitions.rule.fields.map { RuleVocabulary.plain($0.name) }.filter { !$0.hasPrefix("on_") || $0 == "on_error" }
        #expect(keys.sorted() == RuleDefinitionReader.keys.sorted())
        let hooks = LuaDefinitions.rule.fields.map { $0.name.replacing("?", with: "") }.filter { $0.hasPrefix("on_") && $0 != "on_error" }
        #expect(hooks.sorted() == RuleHook.called.map(\.rawValue).sorted())
        for field in LuaDefinitions.rule.fields where !field.name.hasPrefix("on_") {
            let name = field.name.replacing("?", with: "")
            let error = #expect(throws: ShuntError.self) { try RuleSet(plugins: [RulePlugin(name: "one", rule: "return { \(name)x = 1 }")]) }
            #expect(error?.description.contains("did you mean \(name)?") == true, "\(error?.description ?? "")")
        }
    }

    @Test("t of a rule's tests has the functions that are defined, and no other")
    func tests() throws {
        let folder = NSTemporaryDirectory() + "shunt-definitions-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try "return {}".write(toFile: folder + "/rule.lua", atomically: true, encoding: .utf8)
        try "return { a = function(t) for name in pairs(t) do print(name) end end }".write(
            toFile: folder + "/rule_test.lua", atomically: true, encoding: .utf8)
        let lines = Lines()
        _ = RuleTestRunner(plugin: try RulePlugin(directory: folder), print: { lines.add($0) }).run()
        #expect(lines.all.sorted() == LuaDefinitions.testClass.methods.map(\.name).sorted())
    }

    /// What a file of tests prints, and how each test fails.
    private func run(_ tests: String) throws -> (lines: [String], failures: [String: ShuntError]) {
        let folder = try PluginFolder(["r/rule.lua": "return {}", "r/rule_test.lua": tests])
        let lines = Lines()
        let results = RuleTestRunner(plugin: try RulePlugin(directory: folder.path + "/r"), print: { lines.add($0) }).run()
        return (lines.all, results.reduce(into: [:]) { $0[$1.name] = $1.failure })
    }

    private static func names(in failure: ShuntError?, after words: String) -> Set<String> {
        Set(failure?.message.components(separatedBy: words).dropFirst().last?.components(separatedBy: ", ") ?? [])
    }

    @Test("Every function of t takes the keys that are defined, and no other")
    func testKeys() throws {
        let methods = LuaDefinitions.testClass.methods.filter { RuleVocabulary.keys(ofParameter: $0.parameters.first) != nil }
        #expect(methods.count == 18)
        let failures = try run("return { \(methods.map { "\($0.name) = function(t) t:\($0.name) { _ = 1 } end" }.joined(separator: ", ")) }").failures
        for method in methods {
            var taken = Self.names(in: failures[method.name], after: "it takes ")
            // The client's `auth_method`.
            if method.name == "auth" { taken.insert("method") }
            #expect(taken.sorted() == RuleVocabulary.keys(ofParameter: method.parameters.first)?.keys.sorted(), "\(method.name)")
        }
    }

    @Test("What the functions of t give has the fields that are defined, and no other")
    func outcomes() throws {
        let names = LuaDefinitions.testClass.methods.filter { $0.returns == ["shunt.Outcome"] && $0.name != "auth" && $0.name != "advance" }.map(
            \.name)
        var tests = names.map { "\($0) = function(t) return t:\($0) {}._ end" }
        tests += ["auth = function(t) return t:auth { method = 'm' }._ end", "advance = function(t) return t:advance(1)._ end"]
        let failures = try run("return { \(tests.joined(separator: ", ")) }").failures
        let found = failures.values.reduce(into: Set<String>()) { all, failure in
            all.formUnion(Self.names(in: failure, after: "it has "))
        }
        #expect(failures.count == names.count + 2)
        #expect(found.sorted() == LuaDefinitions.outcome.fields.map(\.name).sorted())
    }

    @Test("Fields have the types that are defined")
    func types() throws {
        let shown = """
            local function tell(name, of, fields)
              for field in fields:gmatch("%S+") do log.info(name .. "." .. field .. " " .. (math.type(of[field]) or type(of[field]))) end
            end
            return {
              on_message = function(msg, ctx)
                tell("message", msg, "\(Self.scalars(LuaDefinitions.message))") tell("context", ctx, "\(Self.scalars(LuaDefinitions.context))")
                tell("client", msg.sender, "\(Self.scalars(LuaDefinitions.client))")
              end,
              on_subscribe = function(sub) tell("subscription", sub, "\(Self.scalars(LuaDefinitions.subscription))") end,
            }
            """
        let lines = try walked(shown)
        #expect(lines.count > 30)
        let classes = [
            "message": LuaDefinitions.message, "client": LuaDefinitions.client, "context": LuaDefinitions.context,
            "subscription": LuaDefinitions.subscription,
        ]
        for line in lines {
            let parts = line.split { $0 == "." || $0 == " " }.map(String.init)
            let type = try #require(classes[parts[0]]?.fields.first { $0.name == parts[1] }?.type)
            let types = LiteralChecks.union(type) + (type.hasSuffix("?") ? ["nil"] : [])
            let found = ["float": "number"][parts[2]] ?? parts[2]
            #expect(types.contains(found) || found == "integer" && types.contains("number") || types.contains { $0.hasPrefix("\"") }, "\(line)")
        }
    }

    /// The names of fields that are no tables.
    private static func scalars(_ one: LuaDefinitions.Class) -> String {
        one.fields.filter { !$0.type.contains("shunt.") && !$0.type.contains("[]") && !$0.type.contains("table") }.map(\.name).joined(separator: " ")
    }

    @Test("The words of settings are there for editors")
    func words() {
        let defined = Set(LuaDefinitions.settingWords.map(\.name) + LuaDefinitions.libraries.map(\.name) + ["table"])
        #expect(
            SettingsSchema.words.allSatisfy {
                defined.contains($0.name) && LuaDefinitions.text.contains("function \($0.name)(") || $0.name == "table"
            })
    }

    @Test("Everything has a meaning, and the file is Lua")
    func text() throws {
        for one in LuaDefinitions.classes {
            #expect(!one.doc.isEmpty && one.fields.allSatisfy { $0.doc.hasSuffix(".") } && one.methods.allSatisfy { !$0.doc.isEmpty }, "\(one.name)")
        }
        for one in LuaDefinitions.libraries { #expect(!one.doc.isEmpty && one.functions.allSatisfy { $0.doc.hasSuffix(".") }, "\(one.name)") }
        #expect(LuaDefinitions.functions.allSatisfy { $0.doc.hasSuffix(".") })
        _ = try RuleSet(plugins: [RulePlugin(name: "text", rule: LuaDefinitions.text + "return {}")])
    }

    @Test("docs/lua/shunt.lua is what the command writes")
    func copy() throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/lua/shunt.lua").standardized
        if ProcessInfo.processInfo.environment["UPDATE_REFERENCE"] == "1" {
            try LuaDefinitions.text.write(to: path, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: path, encoding: .utf8) == LuaDefinitions.text, "UPDATE_REFERENCE=1 writes it anew")
    }
}
