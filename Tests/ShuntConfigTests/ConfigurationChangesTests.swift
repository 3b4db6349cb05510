import Testing

@testable import ShuntConfig

@Suite("What a reload changes")
struct ConfigurationChangesTests {
    private func changes(from old: String, to new: String) throws -> (live: [String], restart: [String]) {
        let changes = Configuration.changes(from: try load(old), to: try load(new))
        return (changes.live.map(\.description), changes.restart.map(\.description))
    }

    @Test("What an address has behind its question mark is shown nowhere, and counts all the same")
    func queries() throws {
        let old = "access: { http: { url: 'https://auth.example/check?key=SECRET&b=1' } }"
        let new = old.replacing("SECRET", with: "OTHER")
        let changes = try changes(from: old, to: new)
        #expect(changes.live == ["access.http.url: \"https://auth.example/check?…\" → \"https://auth.example/check?…\""])
        let settings = try load(old).settings
        #expect(settings.first { $0.key == "access.http.url" }?.value == "\"https://auth.example/check?…\"")
        #expect(!settings.contains { $0.value.contains("SECRET") })
        #expect(HTTPAddress.withoutQueries("[\"https://a/?x\", what?, https://b/c?d=1]") == "[\"https://a/?…\", what?, https://b/c?…]")
    }

    @Test("nothing changes between equal configurations")
    func nothing() throws {
        let changes = try changes(
            from: "rules: { settings: { a: { x: 1, y: 2 } } }", to: "rules: { settings: { a: { y: 2, x: 1 } } }")
        #expect(changes.live.isEmpty && changes.restart.isEmpty)
    }

    @Test("limits, strategies and levels are live; addresses, names and loops wait for the next start")
    func liveAndRestart() throws {
        let changes = try changes(
            from: "log: { levels: { link: debug } }",
            to: """
                master: { registry: { path: x } }
                worker: { name: w, loops: 2, groups: { strategy: sticky, overrides: { a: sticky } }, slow_consumer: disconnect }
                rules: { enabled: [a] }
                limits: { frame: 12MiB, frame_time: 90s }
                log: { level: debug }
                """)
        #expect(
            changes.live == [
                "worker.groups.strategy: least_delivered → sticky", "worker.groups.overrides.a: none → sticky",
                "worker.slow_consumer: hold → disconnect", "rules.enabled: [] → [a]", "limits.frame: 10MiB → 12MiB",
                "limits.frame_time: 1m → 90s", "log.level: info → debug", "log.levels.link: debug → none",
            ])
        #expect(
            changes.restart == [
                "master.registry.path: var/registry.sqlite → x", "worker.name: host-1 → w", "worker.loops: 0 → 2",
            ])
    }

    @Test("a listener's change is told field by field")
    func listeners() throws {
        let changes = try changes(
            from: "worker: { listeners: { a: { listen: a:1 }, b: { listen: b:1, proxy_protocol: { from: [10.0.0.0/8] } } } }",
            to: "worker: { listeners: { a: { listen: a:2, tls: { certificate: a.pem } } } }")
        #expect(
            changes.restart.filter { !$0.contains(".b.access.") } == [
                "worker.listeners.a.listen: a:1 → a:2", "worker.listeners.a.tls.certificate: none → a.pem",
                "worker.listeners.b.allow_anonymous: false → none", "worker.listeners.b.listen: b:1 → none",
                "worker.listeners.b.origins: [] → none", "worker.listeners.b.path: /mqtt → none",
                "worker.listeners.b.protocol: exchange → none", "worker.listeners.b.proxy_protocol.from: [10.0.0.0/8] → none",
                "worker.listeners.b.transport: tcp → none",
            ])
    }

    @Test("settings of rules may be secrets and are not shown")
    func secrets() throws {
        let changes = try changes(
            from: "rules: { settings: { redact: { salt: one }, gone: 1 } }", to: "rules: { settings: { redact: { salt: two } } }")
        #expect(changes.live == ["rules.settings.gone: gone", "rules.settings.redact: other values, not shown"])
    }
}
