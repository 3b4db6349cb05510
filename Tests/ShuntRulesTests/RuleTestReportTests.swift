import Foundation
import FoundationXML
import ShuntCore
import Testing

@testable import ShuntRules

@Suite("the results of shunt rule test")
struct RuleTestReportTests {
    private static let tests = #"""
        return {
          ["a: passes"] = function(t) print("said") end,
          ["b: fails"] = function(t) error("<&\"'>]]> \1 \27[2J \u{202e} \u{ffff}\nnext line") end,
        }
        """#

    private func report(_ files: [String: String], _ plugins: [String], filter: String? = nil) throws -> RuleTestReport {
        let folder = try PluginFolder(files)
        var report = RuleTestReport()
        report.plugins = plugins.map { RuleTestReport.Plugin(testing: "\(folder.path)/\($0)", filter: filter) }
        return report
    }

    private var usual: RuleTestReport {
        get throws {
            try report(
                ["one/rule.lua": "return { on_message = function() end }", "one/rule_test.lua": Self.tests, "two/rule.lua": "return {"],
                ["one", "two"])
        }
    }

    private struct Document: Decodable {
        struct Failure: Decodable {
            var code: String
            var message: String
            var location: String?
        }
        struct Test: Decodable {
            var plugin: String
            var name: String
            var result: String
            var seconds: Double
            var failure: Failure?
        }
        var passed: Int
        var failed: Int
        var tests: [Test]
    }

    @Test("JSON has each test, and cannot steer a terminal")
    func json() throws {
        let text = try usual.json
        #expect(!text.unicodeScalars.contains { PrintableText.isUnsafe($0) })
        let document = try JSONDecoder().decode(Document.self, from: Data(text.utf8))
        #expect(document.passed == 1 && document.failed == 2)
        #expect(document.tests.map(\.plugin) == ["one", "one", "two"])
        #expect(document.tests.map(\.name) == ["a: passes", "b: fails", "rule.lua"])
        #expect(document.tests.map(\.result) == ["passed", "failed", "failed"])
        #expect(document.tests.allSatisfy { $0.seconds >= 0 && $0.seconds < 60 })
        #expect(document.tests[0].failure == nil)
        #expect(document.tests[1].failure?.message == "<&\"'>]]> \u{1} \u{1B}[2J \u{202E} \u{FFFF}\nnext line")
        #expect(document.tests[1].failure?.location?.hasSuffix("one/rule_test.lua:3") == true)
    }

    @Test("JUnit's XML can be read whatever a test says, and cannot steer a terminal")
    func junit() throws {
        let text = try usual.junit
        #expect(!text.unicodeScalars.contains { $0 != "\n" && PrintableText.isUnsafe($0) })
        let reader = SuiteReader()
        let parser = XMLParser(data: Data(text.utf8))
        parser.delegate = reader
        #expect(parser.parse(), "\(String(describing: parser.parserError)) in \(text)")
        #expect(reader.elements["testsuites"]?.first?["tests"] == "3")
        #expect(reader.elements["testsuites"]?.first?["failures"] == "2")
        #expect(reader.elements["testsuite"]?.map { $0["name"] } == ["one", "two"])
        #expect(reader.elements["testcase"]?.map { $0["name"] } == ["a: passes", "b: fails", "rule.lua"])
        #expect(reader.elements["failure"]?.first?["message"] == "<&\"'>]]> \u{FFFD} \u{FFFD}[2J \u{202E} \u{FFFD}\nnext line")
    }

    private final class SuiteReader: NSObject, XMLParserDelegate {
        var elements: [String: [[String: String]]] = [:]

        func parser(
            _ parser: XMLParser, didStartElement element: String, namespaceURI: String?, qualifiedName: String?,
            attributes: [String: String] = [:]
        ) {
            elements[element, default: []].append(attributes)
        }
    }

    @Test(
        "a filter takes tests by a part of 'plugin: name'",
        arguments: [
            ("passes", ["a: passes"]), ("one: b", ["b: fails"]), ("one", ["a: passes", "b: fails"]), ("PASSES", []), ("two", []),
            ("", ["a: passes", "b: fails"]),
        ])
    func filter(text: String, names: [String]) throws {
        let files = ["one/rule.lua": "return { on_message = function() end }", "one/rule_test.lua": Self.tests]
        let report = try report(files, ["one"], filter: text)
        #expect(report.plugins[0].results.map(\.name) == names)
        #expect(report.isEmpty == names.isEmpty)
    }

    @Test("a plugin that does not load is no empty report, whatever the filter")
    func broken() throws {
        let report = try report(["one/rule.lua": "return {"], ["one"], filter: "x")
        #expect(!report.isEmpty && report.failed == 1 && report.passed == 0)
    }

    @Test("times have no exponent", arguments: [(0, "0.000000"), (0.0000025, "0.000002"), (1.5, "1.500000"), (61.000001, "61.000001")])
    func decimals(seconds: Double, text: String) { #expect(RuleTestReport.decimal(seconds) == text) }

    @Test("files that are written, added and removed are told, and no others")
    func changes() throws {
        let folder = try PluginFolder(["one/rule.lua": "return {}", "one/lib/a.lua": "return 1", "two/rule.lua": "return {}", "two/README.md": "x"])
        func write(_ file: String, _ text: String) throws {
            let url = URL(fileURLWithPath: "\(folder.path)/\(file)")
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data(text.utf8).write(to: url)
        }
        let paths = RulePaths([folder.path + "/"])
        let first = paths.snapshot()
        #expect(paths.snapshot() == first)
        try write("two/README.md", "another")
        #expect(paths.snapshot().changes(since: first) == [])
        try write("one/lib/a.lua", "return 12")
        try write("three/rule.lua", "return {}")
        try FileManager.default.removeItem(atPath: folder.path + "/two/rule.lua")
        let second = paths.snapshot()
        #expect(second.changes(since: first) == ["one/lib/a.lua", "three/rule.lua", "two/rule.lua"].map { "\(folder.path)/\($0)" })
        #expect(second.changes(since: second) == [])
        // Who may read it.
        #expect(chmod(folder.path + "/three/rule.lua", 0o600) == 0)
        #expect(paths.snapshot().changes(since: second) == ["\(folder.path)/three/rule.lua"])
    }
}
