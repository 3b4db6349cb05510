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

    private func walked() throws -> [String] {
        let lines = Lines()
        var limits = RuleLimits()
        limits.logLinesPerSecond = 10_000
        let set = try RuleSet(plugins: [RulePlugin(name: "walker", rule: Self.walker)], limits: limits)
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
