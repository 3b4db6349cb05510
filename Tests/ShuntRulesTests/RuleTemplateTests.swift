import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("shunt rule new")
struct RuleTemplateTests {
    @Test("each kind of plugin loads without a warning, and its tests pass", arguments: RuleTemplate.Kind.allCases)
    func kinds(kind: RuleTemplate.Kind) throws {
        let folder = try PluginFolder([:])
        let path = try RuleTemplate(name: "my-rule_1", kind: kind).write(in: folder.path + "/plugins/")
        #expect(path == folder.path + "/plugins/my-rule_1")
        let plugin = RuleTestReport.Plugin(testing: path)
        #expect(plugin.isLoaded && plugin.warnings.isEmpty)
        #expect(plugin.results.count >= 3)
        #expect(plugin.results.allSatisfy { $0.failure == nil }, "\(plugin.results)")
        for (name, text) in try RuleTemplate(name: "my-rule_1", kind: kind).files {
            #expect(try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8) == text)
            #expect(!text.contains("NAME") && text.hasSuffix("\n") && !text.hasSuffix("\n\n"))
            #expect(text.split(separator: "\n").allSatisfy { $0.count <= 150 })
        }
        #expect(try String(contentsOfFile: "\(path)/rule.lua", encoding: .utf8).contains("name = \"my-rule_1\""))
    }

    @Test("nothing is written over", arguments: ["rule.lua", "unrelated.txt"])
    func existing(file: String) throws {
        let folder = try PluginFolder(["vip/\(file)": "mine"])
        let error = #expect(throws: ShuntError.self) { try RuleTemplate(name: "vip", kind: .message).write(in: folder.path) }
        #expect(error?.code == .usage)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path + "/vip") == [file])
        #expect(try String(contentsOfFile: "\(folder.path)/vip/\(file)", encoding: .utf8) == "mine")
    }

    @Test(
        "a name that a configuration could not use is refused, with one that it could",
        arguments: [
            ("", nil), ("..", nil), ("all", nil), ("a/b", "a-b"), ("orders.eu", "orders-eu"), ("../x", "x"), ("VIP kunden", "VIP-kunden"),
            ("größe", "gr-e"),
            (String(repeating: "x", count: 65), String(repeating: "x", count: 64)),
        ])
    func names(name: String, near: String?) throws {
        let error = #expect(throws: ShuntError.self) { try RuleTemplate(name: name, kind: .message) }
        #expect(error?.code == .usage)
        #expect(error?.help == "take 1 to 64 of a-z, A-Z, 0-9, - and _" + (near.map { ", such as \($0)" } ?? ""))
    }

    @Test("folders that are missing are made, and one that can't be is told", arguments: ["/a/b", "/a//b/", "/."])
    func missing(directory: String) throws {
        let folder = try PluginFolder(["file/x": ""])
        let path = try RuleTemplate(name: "vip", kind: .chat).write(in: folder.path + directory)
        #expect(FileManager.default.fileExists(atPath: path + "/rule.lua"))
        let error = #expect(throws: ShuntError.self) { try RuleTemplate(name: "vip", kind: .chat).write(in: folder.path + "/file/x/y") }
        #expect(error?.code == .ioFailed)
    }
}
