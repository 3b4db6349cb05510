import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("Loading a configuration")
struct ConfigurationLoadTests {
    @Test(
        "no file, an empty file and a file of comments give the defaults",
        arguments: [nil, "", "# nothing\n", "---\n", "worker:\nlimits: ~\n"])
    func defaults(yaml: String?) throws {
        #expect(try load(yaml) == Configuration(hostName: "host-1"))
    }

    @Test("the defaults are those of the documentation")
    func documentedDefaults() throws {
        let configuration = try load()
        #expect(configuration.master.name == "host-1" && configuration.worker.name == "host-1")
        #expect(configuration.master.exchange.listen == HostPort("127.0.0.1", 4088))
        #expect(configuration.master.admin.listen == HostPort("127.0.0.1", 4080))
        #expect(configuration.master.registry.path == "var/registry.sqlite")
        #expect(configuration.worker.masters == [HostPort("127.0.0.1", 4088)])
        #expect(configuration.worker.listeners["exchange"]?.listen == .tcp(HostPort("127.0.0.1", 4091)))
        #expect(configuration.worker.http.listen == HostPort("127.0.0.1", 9091))
        #expect(configuration.worker.loops == 0)
        #expect(configuration.rules.enabled == .named([]))
        #expect(configuration.limits.frame == 10_485_760)
        #expect(configuration.log.level == .info)
    }

    @Test("a file sets every kind of value")
    func everyKind() throws {
        let configuration = try load(
            """
            master:
              registry: { path: /srv/shunt.sqlite, batch: 50ms, events_keep: 7 }
              heartbeat: { live_for: 1m }
            worker:
              name: 7
              advertise: ::1
              masters: ["[::1]:4088", master-2.internal:1]
              listeners:
                one: { protocol: exchange, listen: 0.0.0.0:1 }
                two: { listen: "[::]:0" }
              groups: { strategy: sticky, overrides: { a.b: key_hash } }
              slow_consumer: disconnect
            rules:
              enabled: all
              settings:
                orders: { limit: 5, rate: 1.5, on: true, off: no, none: , list: [1, a], quoted: "5", hex: 0x10 }
            limits: { frame: 1048576, out_buffer: 64KiB, frame_time: 1500ms }
            log: { level: warning, levels: { link: trace }, format: json }
            """)
        #expect(configuration.master.registry.path == "/srv/shunt.sqlite")
        #expect(configuration.master.registry.batch == .milliseconds(50))
        #expect(configuration.master.registry.eventsKeep == 7)
        #expect(configuration.master.heartbeat.liveFor == .seconds(60))
        #expect(configuration.worker.name == "7")
        #expect(configuration.worker.advertise == "::1")
        #expect(configuration.worker.masters == [HostPort("::1", 4088), HostPort("master-2.internal", 1)])
        #expect(configuration.worker.listeners.keys.sorted() == ["one", "two"])
        #expect(configuration.worker.listeners["two"] == .init(protocol: .exchange, listen: .tcp(HostPort("::", 0))))
        #expect(configuration.worker.groups.strategy(for: "a.b") == .keyHash)
        #expect(configuration.worker.groups.strategy(for: "other") == .sticky)
        #expect(configuration.worker.slowConsumer == .disconnect)
        #expect(configuration.rules.enabled == .all)
        #expect(
            configuration.rules.settings["orders"]
                == .object([
                    "limit": .int(5), "rate": .double(1.5), "on": .bool(true), "off": .string("no"), "none": .null,
                    "list": .array([.int(1), .string("a")]), "quoted": .string("5"), "hex": .int(16),
                ]))
        #expect(configuration.limits.frame == 1 << 20)
        #expect(configuration.limits.outBuffer == 65536)
        #expect(configuration.limits.frameTime == .milliseconds(1500))
        #expect(configuration.log.level(of: .link) == .trace && configuration.log.level(of: .rules) == .warning)
        #expect(configuration.log.format == .json)
    }

    @Test("aliases stand for what they name")
    func aliases() throws {
        let configuration = try load("rules: { settings: { a: &shared { x: 1 }, b: *shared } }")
        #expect(configuration.rules.settings["b"] == .object(["x": .int(1)]))
    }

    static let wrong: [(yaml: String, code: ErrorCode, location: String, says: String, help: String)] = [
        ("limits:\n  frames: 1MiB", .configUnknownKey, "test.yaml:2:3", "limits.frames", "did you mean 'frame'"),
        ("worker:\n  live_for: 3s", .configUnknownKey, "test.yaml:2:3", "worker.live_for", "'master.heartbeat.live_for'"),
        ("zzz: 1", .configUnknownKey, "test.yaml:1:1", "zzz", "master, cluster, worker, access, chat, devices, mqtt, rules, limits, log"),
        ("worker: [1]", .configType, "test.yaml:1:9", "worker is not a mapping", "name, advertise"),
        ("- 1", .configType, "test.yaml:1:1", "not a mapping", "master, cluster, worker"),
        ("text", .configType, "test.yaml:1:1", "not a mapping", "master, cluster, worker"),
        ("worker: { loops: many }", .configType, "test.yaml:1:18", "worker.loops cannot be 'many'", "integer, 0 to 254"),
        ("worker: { loops: -1 }", .configRange, "test.yaml:1:18", "'-1'", "0 to 254"),
        ("worker: { loops: 99999999999999999999 }", .configRange, "test.yaml:1:18", "out of range", "0 to 254"),
        ("worker: { loops: }", .configType, "test.yaml:1:18", "worker.loops is nothing", "default"),
        ("worker: { loops: [1] }", .configType, "test.yaml:1:18", "is a list", "integer"),
        ("worker: { loops: {} }", .configType, "test.yaml:1:18", "is a mapping", "integer"),
        ("worker: { http: { listen: 9091 } }", .configType, "test.yaml:1:27", "'9091'", "host:port"),
        ("worker: { http: { listen: \"::1:80\" } }", .configType, "test.yaml:1:27", "'::1:80'", "[IPv6]:port"),
        ("worker: { http: { listen: a:65536 } }", .configType, "test.yaml:1:27", "'a:65536'", "port 0 to 65535"),
        ("worker: { http: { listen: \"a b:1\" } }", .configType, "test.yaml:1:27", "'a b:1'", "host:port"),
        ("worker: { masters: [\"a:0\"] }", .configRange, "test.yaml:1:21", "an element of worker.masters", "port 1 to 65535"),
        ("worker: { masters: a:1 }", .configType, "test.yaml:1:20", "not a list", "[first, second]"),
        ("worker: { listeners: {} }", .configRange, "test.yaml:1:22", "0 entries", "1 to 64"),
        ("worker: { listeners: { a: {} } }", .configMissing, "test.yaml:1:27", "worker.listeners.a has no listen", "host:port"),
        (
            "worker: { listeners: { a: 1 } }", .configType, "test.yaml:1:27", "worker.listeners.a is not a mapping",
            "protocol, listen"
        ),
        (
            "worker: { listeners: { a: { listn: a:1, listen: a:1 } } }", .configUnknownKey, "test.yaml:1:29",
            "worker.listeners.a.listn", "did you mean 'listen'"
        ),
        ("worker: { listeners: { \"a b\": { listen: a:1 } } }", .configRange, "test.yaml:1:24", "'a b'", "letters, digits"),
        ("worker: { listeners: { a: { listen: a:1, protocol: amqp } } }", .configRange, "test.yaml:1:52", "'amqp'", "exchange, mqtt"),
        ("worker: { listeners: { a: { listen: a:1, transport: ws } } }", .configRange, "test.yaml:1:53", "'ws'", "tcp, websocket"),
        ("worker: { listeners: { a: { listen: a:1, path: mqtt } } }", .configType, "test.yaml:1:48", "'mqtt'", "begins with /"),
        ("worker: { listeners: { a: { listen: a:1, path: \"/a?b\" } } }", .configType, "test.yaml:1:48", "'/a?b'", "begins with /"),
        (
            "worker: { listeners: { a: { listen: a:1, origins: [example.org] } } }", .configType, "test.yaml:1:52",
            "an element of worker.listeners.a.origins", "scheme://host"
        ),
        (
            "worker: { listeners: { a: { listen: a:1, origins: [\"https://a/b\"] } } }", .configType, "test.yaml:1:52", "'https://a/b'",
            "scheme://host"
        ),
        (
            "worker: { listeners: { a: { listen: a:1, proxy_protocol: { from: [10.0.0.1/8] } } } }", .configType, "test.yaml:1:67",
            "an element of worker.listeners.a.proxy_protocol.from", "10.0.0.0/8"
        ),
        (
            "worker: { listeners: { a: { listen: a:1, proxy_protocol: { form: [] } } } }", .configUnknownKey, "test.yaml:1:60",
            "worker.listeners.a.proxy_protocol.form", "did you mean 'from'"
        ),
        ("worker: { slow_consumer: drop }", .configRange, "test.yaml:1:26", "'drop'", "drop_newest, drop_oldest, disconnect"),
        (
            "worker: { groups: { overrides: { a: most } } }", .configRange, "test.yaml:1:37", "worker.groups.overrides.a",
            "key_hash"
        ),
        ("worker: { advertise: \"a:1\" }", .configType, "test.yaml:1:22", "'a:1'", "without a port"),
        ("worker: { name: \"a\\nb\" }", .configType, "test.yaml:1:17", "'a?b'", "text of up to 255"),
        ("master: { registry: { path: \"\" } }", .configRange, "test.yaml:1:29", "master.registry.path", "path"),
        ("master: { registry: { batch: 200 } }", .configType, "test.yaml:1:30", "'200'", "duration, 1ms to 1m"),
        ("master: { registry: { batch: 2h } }", .configRange, "test.yaml:1:30", "'2h'", "1ms to 1m"),
        ("limits: { frame: 10MB }", .configType, "test.yaml:1:18", "'10MB'", "size, 1KiB to 256MiB"),
        ("limits: { frame: 9999999999999GiB }", .configRange, "test.yaml:1:18", "limits.frame", "1KiB to 256MiB"),
        ("rules: { enabled: some }", .configType, "test.yaml:1:19", "rules.enabled", "the word all"),
        ("rules: { enabled: [../a] }", .configType, "test.yaml:1:20", "'../a'", "letters, digits"),
        ("rules: { enabled: [a, b, a] }", .configRange, "test.yaml:1:26", "'a' more than once", "names"),
        ("rules: { settings: { a: .inf } }", .configRange, "test.yaml:1:25", "rules.settings.a", "finite"),
        ("log: { level: warn }", .configRange, "test.yaml:1:15", "'warn'", "warning"),
        ("log: { levels: { links: debug } }", .configUnknownKey, "test.yaml:1:18", "'links'", "did you mean 'link'"),
        ("limits: { frame: 1KiB }\nlimits: { hops: 1 }", .configInvalid, "test.yaml:1:1", "more than once", "first place"),
        ("limits:\n\tframe: 1KiB", .configInvalid, "test.yaml:2:1", "not YAML", "spaces"),
        ("limits: { frame: 1KiB", .configInvalid, "test.yaml:1:22", "not YAML", ""),
        ("a: 1\n---\nb: 1", .configInvalid, "test.yaml:2:1", "another document", ""),
        ("worker: *none", .configInvalid, "test.yaml:1:9", "alias", ""),
        ("? [a]\n: 1", .configInvalid, "test.yaml:1:3", "a key that is a list", "words"),
        ("name: \u{1}", .configInvalid, "test.yaml:1:7", "not text", "UTF-8"),
        (
            String(repeating: "[", count: 500) + String(repeating: "]", count: 500), .configRange, "test.yaml:1:66", "more YAML",
            "64 levels"
        ),
        (String(repeating: "[", count: 500_000), .configInvalid, "", "not YAML", ""),
    ]

    @Test("what is wrong is told with its place and what would be right", arguments: wrong)
    func reported(_ wrong: (yaml: String, code: ErrorCode, location: String, says: String, help: String)) throws {
        let errors = errors(wrong.yaml)
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].code == wrong.code)
        #expect(wrong.location.isEmpty || errors[0].location == wrong.location)
        #expect(errors[0].message.contains(wrong.says), "\(errors[0])")
        #expect(wrong.help.isEmpty || errors[0].help?.contains(wrong.help) == true, "\(errors[0])")
    }

    @Test("all that is wrong is told at once")
    func allErrors() {
        let errors = errors(
            "worker: { loops: x, nme: y }\nlimits: { hops: 0 }", environment: ["SHUNT_LOG_NONE": "1", "SHUNT_LOG_LEVEL": "loud"],
            sets: ["worker.slow_consumer=never", "nonsense"])
        #expect(
            errors.map(\.location) == [
                "SHUNT_LOG_NONE", "--set nonsense", "test.yaml:1:18", "test.yaml:1:21", "--set worker.slow_consumer",
                "test.yaml:2:17",
                "SHUNT_LOG_LEVEL",
            ])
    }

    @Test("a broken file does not hide what is wrong with --set")
    func brokenFileAndSet() {
        #expect(errors("a: [", sets: ["worker.loops=x"]).map(\.code) == [.configInvalid, .configType])
    }

    @Test("a file of nonsense is told in bounds")
    func manyErrors() {
        let errors = errors((0..<1000).map { "k\($0): 1" }.joined(separator: "\n"))
        #expect(errors.count == 101)
        #expect(errors.last?.message == "900 more errors")
    }

    @Test("aliases that multiply are refused before they fill the memory")
    func multiplyingAliases() {
        var yaml = "rules:\n  settings:\n    a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            yaml += "    a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ") + "]\n"
        }
        #expect(errors(yaml).map(\.code) == [.configRange])
    }

    @Test("files that cannot be read are told apart")
    func unreadable() {
        func code(_ path: String) -> ErrorCode? {
            do throws(ConfigurationErrors) {
                _ = try Configuration.load(file: path, environment: [:], sets: [], hostName: "h")
                return nil
            } catch {
                return error.errors.first?.code
            }
        }
        let file = TemporaryFile(bytes: [0x61, 0x3a, 0xff])
        defer { file.remove() }
        #expect(code(file.path) == .configInvalid)
        #expect(code(file.folder.path) == .configInvalid)
        #expect(code(file.path + ".none") == .configMissing)
        #expect(code(file.path + "/none") == .configMissing)
        let large = TemporaryFile(String(repeating: "#", count: 2 << 20))
        defer { large.remove() }
        #expect(code(large.path) == .configRange)
    }
}
