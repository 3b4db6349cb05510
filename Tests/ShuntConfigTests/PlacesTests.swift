import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("Where keys were given")
struct PlacesTests {
    private static let yaml = """
        worker:
          http: { listen: 127.0.0.1:9091 }
        rules:
          enabled:
            - redact
            - vip
          settings:
            redact: { mask: x }
        """

    private func place(
        _ key: String, environment: [String: String] = [:], sets: [String] = []
    ) throws -> String? {
        let place = try load(Self.yaml, environment: environment, sets: sets).place(of: key)
        return place.map { $0.split(separator: "/").last.map(String.init) ?? $0 }
    }

    @Test(
        "a file's keys have line and column, each word of a list its own",
        arguments: [
            ("worker.http.listen", "test.yaml:2:19"), ("rules.enabled", "test.yaml:5:5"), ("rules.enabled.vip", "test.yaml:6:7"),
            ("rules.settings.redact", "test.yaml:8:13"), ("rules.settings.redact.mask", "test.yaml:8:21"),
        ])
    func file(key: String, expected: String) throws { #expect(try place(key) == expected) }

    @Test("what goes over the file is told by its option or variable; a default has no place")
    func overrides() throws {
        #expect(try place("worker.http.listen", environment: ["SHUNT_WORKER_HTTP_LISTEN": "a:1"]) == "SHUNT_WORKER_HTTP_LISTEN")
        #expect(try place("worker.http.listen", sets: ["worker.http.listen=a:1"]) == "--set worker.http.listen")
        #expect(try place("rules.enabled.x", sets: ["rules.enabled=x,y"]) == "--set rules.enabled")
        #expect(try place("worker.listeners.exchange.listen", sets: ["worker.loops=1"]) == nil)
        #expect(try place("master.registry.path") == nil)
    }

    @Test("an error is told with the place of the key that it names")
    func errors() throws {
        let configuration = try load(sets: ["worker.http.listen=a:1"])
        let known = ShuntError(.addressInUse, "taken", at: "worker.http.listen: a:1")
        #expect(configuration.placed(known).location == "--set worker.http.listen: a:1")
        for location in ["master.admin.listen: a:1", "elsewhere", nil] {
            let other = ShuntError(.addressInUse, "taken", at: location)
            #expect(configuration.placed(other) == other)
        }
        #expect(configuration.placed(ShuntError(.notFound, "x"), at: "worker.http.listen").location == "--set worker.http.listen")
    }

    @Test(
        "a file that has become empty is not taken for one that says nothing",
        arguments: [
            ("", true), ("# nothing\n", true), ("{}", false), ("log: {}", false),
        ])
    func emptied(yaml: String, isLost: Bool) throws {
        #expect(try load(yaml).hasLost(fileOf: try load(Self.yaml)) == isLost)
        #expect(try !load(yaml).hasLost(fileOf: try load("")))
    }

    @Test("is no difference between configurations, and is taken over by a reload")
    func reload() throws {
        var running = try load("limits: { hops: 3 }")
        let new = try load("\n\nlimits: { hops: 3 }")
        #expect(running == new)
        running.takeLive(from: new)
        #expect(running.place(of: "limits.hops") == new.place(of: "limits.hops"))
    }
}
