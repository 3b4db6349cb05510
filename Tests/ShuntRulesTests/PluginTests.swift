import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("The plugins that come with Shunt")
struct PluginTests {
    static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("plugins").path

    @Test("their own tests pass", arguments: ["topic-router", "rate-limit", "redact"])
    func ownTests(name: String) throws {
        let results = try RuleTestRunner(plugin: RulePlugin(directory: Self.directory + "/" + name)).run()
        #expect(results.count >= 6)
        for result in results { #expect(result.failure == nil, "\(result.name): \(result.failure?.description ?? "")") }
    }

    @Test("each is under 150 lines and has a README", arguments: ["topic-router", "rate-limit", "redact"])
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

    @Test("settings that are missing keep a worker from starting, with the place")
    func missingSettings() throws {
        #expect(throws: ShuntError.self) { try RuleSet.load(directory: Self.directory, enabled: .names(["redact"])) }
        do {
            _ = try RuleSet.load(directory: Self.directory, enabled: .names(["redact"]))
        } catch {
            #expect(error.code == .ruleInvalid)
            #expect(error.message == "settings.redactions: must be a list of at least one redaction")
            #expect(error.location?.hasSuffix("redact/rule.lua") == true)
        }
    }
}
