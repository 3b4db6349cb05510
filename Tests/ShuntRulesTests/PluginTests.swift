import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("The plugins that come with Shunt")
struct PluginTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("plugins").path

    static let names = [
        "topic-router", "rate-limit", "redact", "quiet-hours", "chat-guard", "chat-away", "jwt-auth", "tenant-quota", "json-schema", "enrich",
        "dedupe", "dead-letter", "geo-fanout", "weighted-split",
    ]

    @Test("their own tests pass", arguments: names)
    func ownTests(name: String) throws {
        // Ample: beside hundreds of other tests a call may take many times as long.
        let results = try RuleTestRunner(plugin: RulePlugin(directory: Self.directory + "/" + name), limits: .ample).run()
        #expect(results.count >= 6)
        for result in results { #expect(result.failure == nil, "\(result.name): \(result.failure?.description ?? "")") }
    }

    @Test("each is under 150 lines and has a README", arguments: names)
    func size(name: String) throws {
        let rule = try String(contentsOfFile: "\(Self.directory)/\(name)/rule.lua", encoding: .utf8)
        #expect(rule.split(separator: "\n", omittingEmptySubsequences: false).count < 150)
        #expect(FileManager.default.fileExists(atPath: "\(Self.directory)/\(name)/README.md"))
    }

    @Test("they take their settings, and run in one worker by their priorities")
    func together() throws {
        let set = try RuleSet.load(
            directory: Self.directory, enabled: .names(["topic-router", "redact", "rate-limit"]),
            settings: [
                "topic-router": ["routes": [["topic": "orders/+", "to": "eu/orders"]]],
                "redact": ["redactions": [["topic": "orders/#", "remove": ["card"]]]],
                "rate-limit": ["limits": [["rate": 5, "topic": "#"]]],
            ])
        #expect(set.rules.map(\.definition.name) == ["rate-limit", "redact", "topic-router"])
        #expect(set.rules.map(\.definition.match.filters) == [["#"], ["orders/#"], ["orders/+"]])
        #expect(set.warnings.isEmpty)
    }

    @Test("those for chats and broadcasts run together: what the guard refuses tells nobody who is away")
    func chatsTogether() throws {
        let set = try RuleSet.load(
            directory: Self.directory, enabled: .names(["chat-away", "quiet-hours", "chat-guard"]),
            settings: [
                "chat-guard": ["words": ["list": ["heck"]]],
                "quiet-hours": ["windows": [["tags": ["a"], "from": "00:00", "to": "24:00"]]],
            ])
        #expect(set.rules.map(\.definition.name) == ["chat-guard", "quiet-hours", "chat-away"])
        #expect(set.warnings.isEmpty)
        let rules = try LoopRules(
            set: set, worker: "w", loop: 0, shared: SharedStore(), log: { Issue.record("\($0)") }, inflate: { _, _, _, _ in [] }, now: 1)
        #expect(rules.wanted == [.broadcast, .chat])
        func say(_ text: String) -> (Outcome.Verdict, [Sent]) {
            withBytes("c1") { id in
                withBytes(text) { payload in
                    let message = MessageView(kind: .chat, topic: id, key: nil, payload: payload, format: .text, id: 1, sender: Clients.peer().id)
                    let chat = ChatView(id: "c1", members: [.init(uid: "bob", isOnline: false)], createdAt: 0)
                    let outcome = Outcome(rules.onChat(message, in: chat, now: 1))
                    return (outcome.verdict, outcome.messages)
                }
            }
        }
        #expect(say("oh heck").0 == .reject(why: "a word in it is not allowed here"))
        #expect(say("oh heck").1 == [])
        let (verdict, messages) = say("hello")
        #expect(verdict == .pass)
        #expect(messages.map(\.filter) == [#"{"uid":"bob"}"#])
        #expect(messages.map(\.changes) == [[.kind, .payload, .format, .filter]])
    }

    @Test("settings that are missing keep a worker from starting, with the place")
    func missingSettings() throws {
        #expect(throws: ShuntError.self) { try RuleSet.load(directory: Self.directory, enabled: .names(["redact"])) }
        do {
            _ = try RuleSet.load(directory: Self.directory, enabled: .names(["redact"]))
        } catch {
            #expect(error.code == .configMissing)
            #expect(error.message == "rules.settings.redact.redactions is missing")
            #expect(error.location == "rules.settings.redact.redactions")
        }
    }
}
