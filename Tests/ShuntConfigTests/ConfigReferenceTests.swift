import Foundation
import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("The configurations that come with Shunt")
struct ConfigReferenceTests {
    /// After a change of the table of keys: `UPDATE_REFERENCE=1 swift test --filter ConfigReferenceTests`
    @Test("config/reference.yaml is what the table of keys says")
    func committed() throws {
        let file = configFolder.appending(path: "reference.yaml")
        if ProcessInfo.processInfo.environment["UPDATE_REFERENCE"] == "1" {
            try Data(ConfigReference.yaml().utf8).write(to: file)
        }
        #expect(try String(contentsOf: file, encoding: .utf8) == ConfigReference.yaml())
    }

    @Test("the reference's values are the defaults")
    func defaults() throws {
        #expect(try Configuration.parse(ConfigReference.yaml(), hostName: "h") == Configuration(hostName: "h"))
    }

    @Test("the reference has every key, and no line is too long to read")
    func complete() {
        let lines = ConfigReference.yaml().split(separator: "\n")
        for key in Configuration.keys {
            #expect(lines.contains { $0.drop { $0 == " " }.hasPrefix("\(key.path.last ?? ""):") }, "\(key.path)")
        }
        #expect(lines.allSatisfy { $0.count <= 130 })
    }

    @Test("the examples load", arguments: ["dev.yaml", "master.yaml", "worker.yaml"])
    func examples(name: String) throws {
        let file = configFolder.appending(path: name).path
        let configuration = try Configuration.load(file: file, environment: [:], sets: [], hostName: "h")
        #expect(configuration.rules.enabled == .named([]))
    }

    /// What is commented out has to be right, too: people take the marks off.
    @Test("the examples load with what is commented out", arguments: ["dev.yaml", "master.yaml", "worker.yaml"])
    func commentedExamples(name: String) throws {
        let text = try String(contentsOf: configFolder.appending(path: name), encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { $0.replacing("#~ ", with: "") }
        _ = try Configuration.parse(lines.joined(separator: "\n"), name: name)
    }

    @Test("config/dev.yaml says what the defaults are, opens MQTT's port besides, and lets everybody in")
    func dev() throws {
        let file = configFolder.appending(path: "dev.yaml").path
        var expected = Configuration(hostName: "h")
        expected.worker.listeners["mqtt"] = .init(protocol: .mqtt, listen: HostPort("127.0.0.1", 1883))
        for name in ["exchange", "mqtt"] { expected.worker.listeners[name]?.allowAnonymous = true }
        #expect(try Configuration.load(file: file, environment: [:], sets: [], hostName: "h") == expected)
    }
}
