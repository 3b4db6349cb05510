import Foundation
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("Rules that a new version does not change")
struct UnchangedRuleTests {
    static let counting = """
        local n = 0
        return { priority = 1, name = "counting", breaker = { errors = 1 },
          on_load = function(settings, saved) log.info("load counting") end,
          on_unload = function() log.info("unload counting") return {} end,
          on_message = function(msg)
            n = n + 1
            if msg.topic == "bad" then error("no") end
            return msg:with { topic = "n" .. n }
          end }
        """
    static func other(_ version: Int) -> String {
        """
        return { name = "other", on_load = function(s, saved) log.info("load other \(version)") end,
          on_unload = function() log.info("unload other \(version)") end, on_message = function(m) return m:with { payload = "v\(version)" } end }
        """
    }

    private func set(_ version: Int, more: [String: String] = [:]) throws -> (RuleSet, PluginFolder) {
        let folder = try PluginFolder(["counting/rule.lua": Self.counting, "other/rule.lua": Self.other(version)].merging(more) { $1 })
        return (try RuleSet.load(directory: folder.path), folder)
    }

    /// The same folder with other files, as an operator writes them.
    private func rewrite(_ rig: RuleRig, _ file: String, _ text: String) throws -> RuleSet {
        try text.write(toFile: rig.folder.path + "/" + file, atomically: true, encoding: .utf8)
        return try RuleSet.load(directory: rig.folder.path, limits: .ample)
    }

    private func rig() throws -> RuleRig {
        try RuleRig(files: ["counting/rule.lua": Self.counting, "other/rule.lua": Self.other(1)])
    }

    @Test("one that is off when its next version takes over is told as on again; one that goes on, or ends, is not")
    func switchedOn() throws {
        func events(after text: String?) throws -> [RuleLogEntry.Event?] {
            let rig = try rig()
            for client in 0..<2 { rig.send("bad", from: .client(client)) }
            #expect(rig.rules.figures()[0].isOff)
            rig.log.removeAll()
            let file = text == nil ? "other/rule.lua" : "counting/rule.lua"
            #expect(rig.rules.replace(with: try rewrite(rig, file, text ?? Self.other(2)), now: 1001) == nil)
            return rig.log.all.map(\.event).filter { $0 != nil }
        }
        #expect(try events(after: Self.counting + "\n-- another") == [.on])
        #expect(try events(after: nil) == [])
        #expect(try events(after: "return { name = 'another', on_message = function() end }") == [])
    }

    @Test("keep their state, figures and breaker, and are not told of it")
    func kept() throws {
        let rig = try rig()
        #expect(rig.send().messages.map(\.topic) == ["n1"])
        for client in 0..<2 { rig.send("bad", from: .client(client)) }
        #expect(rig.rules.figures()[0].isOff)
        rig.log.removeAll()
        #expect(rig.rules.replace(with: try rewrite(rig, "other/rule.lua", Self.other(2)), now: 1001) == nil)
        rig.rules.settle()
        #expect(rig.log.texts == ["unload other 1", "load other 2"])
        #expect(rig.rules.figures()[0].isOff && rig.rules.figures()[0].hooks["on_message"]?.calls == 3)
        #expect(rig.send(now: 1002).messages.map(\.payload) == ["v2"])
        #expect(rig.send(now: 1031).messages.map(\.topic) == ["n4"], "its breaker tries it again when it would have")
        #expect(rig.rules.figures()[0].current["on_message"]?.calls == 4)
        #expect(rig.rules.figures()[1].current["on_message"]?.calls == 2)
        #expect(rig.rules.figures()[1].hooks["on_message"]?.calls == 5, "with those of the version before")
    }

    @Test("go on after a revert, with the new place in the order and back")
    func reverted() throws {
        let rig = try rig()
        rig.send()
        let first = try rewrite(rig, "other/rule.lua", Self.other(2).replacing("name = \"other\"", with: "name = \"other\", priority = 9"))
        rig.log.removeAll()
        #expect(rig.rules.replace(with: first, now: 1001) == nil)
        #expect(rig.send().messages.map { [$0.topic, $0.payload] } == [["n2", "v2"]])
        rig.rules.revert(now: 1002)
        #expect(rig.log.texts == ["unload other 1", "load other 2", "unload other 2", "load other 1"])
        #expect(rig.send().messages.map { [$0.topic, $0.payload] } == [["n3", "v1"]])
        #expect(rig.rules.figures().map { $0.hooks["on_message"]?.calls } == [3, 3], "what a version has decided counts, also if it does not stay")
    }

    @Test("go on when on_load of another fails")
    func failed() throws {
        let rig = try rig()
        rig.send()
        rig.log.removeAll()
        let next = try rewrite(
            rig, "other/rule.lua",
            Self.other(2).replacing("log.info(\"load other 2\")", with: "if saved == nil then log.info('checked') else error('bad saved') end"))
        // on_unload of version 1 returns nothing, so this one takes what it is given.
        #expect(rig.rules.replace(with: next, now: 1001) == nil)
        rig.rules.settle()
        let third = try rewrite(
            rig, "other/rule.lua", Self.other(3).replacing("log.info(\"load other 3\")", with: "if ready then error('no') end ready = 1"))
        #expect(rig.rules.replace(with: third, now: 1002) == nil)
        #expect(rig.send().messages.map(\.topic) == ["n2"])
    }

    @Test("a changed test alone changes nothing; a changed setting or budget does")
    func same() throws {
        let rig = try rig()
        let before = try RuleSet.load(directory: rig.folder.path, limits: .ample)
        let tested = try rewrite(rig, "other/rule_test.lua", "return {}")
        #expect(before.isSame(as: tested))
        var limits = RuleLimits.ample
        limits.callMemory = 2 << 20
        #expect(!before.isSame(as: try RuleSet.load(directory: rig.folder.path, limits: limits)))
        let set = try RuleSet.load(directory: rig.folder.path, settings: ["other": .object(["a": .int(1)])], limits: .ample)
        #expect(zip(before.rules, set.rules).map { $0.isSame(as: $1) } == [true, false])
        #expect(before.rules[1].digest != set.rules[1].digest && before.rules[0].digest == set.rules[0].digest)
    }

    @Test("errors name the topic and the client")
    func errors() throws {
        let rig = try rig()
        rig.send("bad")
        let failure = try #require(rig.rules.figures()[0].failures.first)
        #expect(failure.topic == "bad" && failure.client == "u1" && failure.code == .ruleFailed && failure.hook == "on_message")
        #expect(rig.log.all.last?.topic == "bad" && rig.log.all.last?.client == "u1")
        for _ in 0..<50 { rig.send("bad", now: 1001) }
        #expect(rig.rules.figures()[0].failures.count <= 8)
    }
}
