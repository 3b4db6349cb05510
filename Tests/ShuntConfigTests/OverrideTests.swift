import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("--set and the environment")
struct OverrideTests {
    @Test("--set goes before the environment, which goes before the file, which goes before the defaults")
    func precedence() throws {
        let yaml = "worker: { loops: 1 }\nlimits: { hops: 2, fanout: 2 }\nlog: { level: error }"
        let configuration = try load(
            yaml, environment: ["SHUNT_LIMITS_FANOUT": "3", "SHUNT_LIMITS_HOPS": "3", "PATH": "x"],
            sets: ["limits.hops=4", "limits.hops=5"])
        #expect(configuration.worker.loops == 1)
        #expect(configuration.limits.fanout == 3)
        #expect(configuration.limits.hops == 5)
        #expect(configuration.log.level == .error)
        #expect(configuration.limits.subscriptions == 1000)
    }

    @Test("an address of IPv6 needs no quotes")
    func ipv6() throws {
        let configuration = try load(
            environment: ["SHUNT_MASTER_ADMIN_LISTEN": "[::]:0"],
            sets: ["worker.http.listen=[::1]:80", "worker.masters=[::1]:1,a:2"])
        #expect(configuration.master.admin.listen == HostPort("::", 0))
        #expect(configuration.worker.http.listen == HostPort("::1", 80))
        #expect(configuration.worker.masters == [HostPort("::1", 1), HostPort("a", 2)])
    }

    @Test(
        "lists take YAML and words with commas between",
        arguments: [
            ("a,b", ["a", "b"]), ("[a, b]", ["a", "b"]), ("a , b", ["a", "b"]), ("a", ["a"]), ("'a,b'", ["a", "b"]), ("[]", []),
            ("", []),
        ])
    func lists(text: String, names: [String]) throws {
        #expect(try load(sets: ["rules.enabled=\(text)"]).rules.enabled == .named(names))
        #expect(try load(environment: ["SHUNT_RULES_ENABLED": text]).rules.enabled == .named(names))
    }

    @Test("the word all stands for all rules, in a list too", arguments: ["all", "[all]", "'all'"])
    func allRules(text: String) throws {
        #expect(try load(sets: ["rules.enabled=\(text)"]).rules.enabled == .all)
    }

    @Test("an empty value is the empty text")
    func emptyText() throws {
        let configuration = try load("worker: { name: w, advertise: a }", sets: ["worker.name=", "worker.advertise="])
        #expect(configuration.worker.name == "host-1")
        #expect(configuration.worker.advertise == "")
    }

    @Test("--set changes one field of the default listener")
    func defaultListener() throws {
        let listeners = try load(sets: ["worker.listeners.exchange.listen=127.0.0.1:0"]).worker.listeners
        #expect(listeners == ["exchange": .init(protocol: .exchange, listen: .tcp(HostPort("127.0.0.1", 0)), allowAnonymous: true)])
        let afterNothing = try load("worker:\n  listeners:\n", sets: ["worker.listeners.exchange.listen=127.0.0.1:0"]).worker
            .listeners
        #expect(afterNothing == listeners)
    }

    @Test("A listener's transport, path and origins are read from a file and from --set; origins are kept in lower case")
    func webSocket() throws {
        let yaml =
            "worker: { listeners: { edge: { listen: a:1, transport: websocket, path: /a/b-c, origins: [\"*\", \"HTTPS://Example.org:8443\"] } } }"
        let edge = try #require(try load(yaml).worker.listeners["edge"])
        #expect(edge.transport == .websocket && edge.path == "/a/b-c" && edge.origins == ["*", "https://example.org:8443"])
        let set = try load(sets: ["worker.listeners.exchange.transport=websocket"]).worker.listeners["exchange"]
        #expect(set?.transport == .websocket && set?.path == "/mqtt" && set?.origins == [])
    }

    @Test("--set and the environment give a listener its proxies")
    func proxies() throws {
        let local = try #require(AddressRange("127.0.0.1/32"))
        let yaml = "worker: { listeners: { edge: { listen: a:1, proxy_protocol: { from: [127.0.0.1] } } } }"
        #expect(try load(yaml).worker.listeners["edge"]?.proxies == [local])
        let sets = ["worker.listeners.exchange.proxy_protocol.from=127.0.0.1/32,10.0.0.0/8"]
        #expect(try load(sets: sets).worker.listeners["exchange"]?.proxies == [local, try #require(AddressRange("10.0.0.0/8"))])
    }

    @Test("listeners of a file replace the default; --set changes or adds to them")
    func listenersOfFile() throws {
        let yaml = "worker: { listeners: { Edge-1: { listen: a:1 } } }"
        #expect(try load(yaml).worker.listeners.keys.sorted() == ["Edge-1"])
        let changed = try load(yaml, sets: ["worker.listeners.Edge-1.listen=b:2", "worker.listeners.other={listen: c:3}"]).worker
            .listeners
        #expect(changed.mapValues(\.listen) == ["Edge-1": .tcp(HostPort("b", 2)), "other": .tcp(HostPort("c", 3))])
        let replaced = try load(yaml, sets: ["worker.listeners={other: {listen: c:3}}"]).worker.listeners
        #expect(replaced.keys.sorted() == ["other"])
    }

    @Test("the environment finds a listener whatever its name's case, or adds one")
    func listenersByEnvironment() throws {
        let yaml = "worker: { listeners: { Edge-1: { listen: a:1 } } }"
        let environment = ["SHUNT_WORKER_LISTENERS_EDGE_1_LISTEN": "b:2", "SHUNT_WORKER_LISTENERS_NEW_LISTEN": "c:3"]
        #expect(
            try load(yaml, environment: environment).worker.listeners.mapValues(\.listen)
                == ["Edge-1": .tcp(HostPort("b", 2)), "new": .tcp(HostPort("c", 3))])
        #expect(
            try load(environment: ["SHUNT_WORKER_LISTENERS_EXCHANGE_LISTEN": "b:2"]).worker.listeners.mapValues(\.listen)
                == ["exchange": .tcp(HostPort("b", 2))])
    }

    @Test("maps take whole values and single entries")
    func maps() throws {
        let sets = [
            "worker.groups.overrides={a: sticky}", "worker.groups.overrides.b.c=key_hash", "log.levels.link=debug",
            "rules.settings.redact={topics: [a]}", "rules.settings.redact.mask.with=x",
        ]
        let configuration = try load(environment: ["SHUNT_LOG_LEVELS_RULES": "trace"], sets: sets)
        #expect(configuration.worker.groups.overrides == ["a": .sticky, "b.c": .keyHash])
        #expect(configuration.log.levels == [.link: .debug, .rules: .trace])
        #expect(
            configuration.rules.settings
                == ["redact": .object(["topics": .array([.string("a")]), "mask": .object(["with": .string("x")])])])
    }

    @Test("the environment names what is in maps, too: in lower case, or as the file and the enabled plugins have it")
    func mapsByEnvironment() throws {
        let yaml = """
            worker: { groups: { overrides: { Billing-EU: sticky } } }
            rules: { enabled: [topic-router, rate], settings: { rate: { per_second: 1, limits: { by-key: 2 } } } }
            """
        let configuration = try load(
            yaml,
            environment: [
                "SHUNT_WORKER_GROUPS_OVERRIDES_AUDIT": "round_robin", "SHUNT_WORKER_GROUPS_OVERRIDES_BILLING_EU": "key_hash",
                "SHUNT_RULES_SETTINGS_TOPIC_ROUTER_ROUTES": "[]", "SHUNT_RULES_SETTINGS_RATE_PER_SECOND": "5",
                "SHUNT_RULES_SETTINGS_RATE_LIMITS_BY_KEY": "6", "SHUNT_RULES_SETTINGS_VIP_FROM_TOTAL": "3",
                "SHUNT_RULES_SETTINGS_REDACT": "{mask: x}",
            ])
        #expect(configuration.worker.groups.overrides == ["Billing-EU": .keyHash, "audit": .roundRobin])
        #expect(
            configuration.rules.settings == [
                "topic-router": .object(["routes": .array([])]),
                "rate": .object(["per_second": .int(5), "limits": .object(["by-key": .int(6)])]),
                "vip": .object(["from_total": .int(3)]), "redact": .object(["mask": .string("x")]),
            ])
    }

    @Test("the environment takes whole maps")
    func wholeMapsByEnvironment() throws {
        let configuration = try load(
            "rules: { settings: { a: 1 } }",
            environment: ["SHUNT_RULES_SETTINGS": "{vip: {from: 3}}", "SHUNT_WORKER_GROUPS_OVERRIDES": "{a-b: sticky}"])
        #expect(configuration.rules.settings == ["vip": .object(["from": .int(3)])])
        #expect(configuration.worker.groups.overrides == ["a-b": .sticky])
    }

    @Test("where shunt admin finds its master is no key")
    func reserved() throws {
        #expect(try load(environment: ["SHUNT_ADMIN": "127.0.0.1:4080", "SHUNT_MASTER": "10.0.0.1"]) == Configuration(hostName: "host-1"))
    }

    @Test("a section's mapping is merged into what the file says")
    func sections() throws {
        let configuration = try load(
            "limits: { hops: 2, fanout: 2 }", sets: ["limits={hops: 3}", "worker={http: {listen: a:1}}"])
        #expect(configuration.limits.hops == 3 && configuration.limits.fanout == 2)
        #expect(configuration.worker.http.listen == HostPort("a", 1))
    }

    @Test("every key has a variable of its own, and takes its default from it")
    func everyVariable() throws {
        let names = Configuration.keys.map { ConfigVariables.name($0.path) }
        #expect(Set(names).count == names.count)
        var environment: [String: String] = [:]
        for key in Configuration.keys { environment[ConfigVariables.name(key.path)] = key.text(.unnamed) }
        #expect(try load(environment: environment) == Configuration(hostName: "host-1"))
    }

    @Test("every key takes its default from --set")
    func everySet() throws {
        for key in Configuration.keys {
            let set = "\(key.path.joined(separator: "."))=\(key.text(.unnamed))"
            #expect(try load(sets: [set]) == Configuration(hostName: "host-1"), "\(set)")
        }
    }

    static let wrongSets: [(set: String, code: ErrorCode, location: String, help: String)] = [
        ("worker.loop=1", .configUnknownKey, "--set worker.loop", "did you mean 'worker.loops'"),
        ("live_for=1s", .configUnknownKey, "--set live_for", "did you mean 'master.heartbeat.live_for'"),
        ("qqqqqqqq=1", .configUnknownKey, "--set qqqqqqqq", "config/reference.yaml"),
        ("worker.loops.x=1", .configUnknownKey, "--set worker.loops.x", "worker.loops"),
        ("worker.listeners.a.tls.cert=x", .configUnknownKey, "--set worker.listeners.a.tls.cert", "'worker.listeners.a.tls.certificate'"),
        ("worker.listeners.a.tls.kei=x", .configUnknownKey, "--set worker.listeners.a.tls.kei", "'worker.listeners.a.tls.key'"),
        ("worker.listeners.a.tls=1", .configUnknownKey, "--set worker.listeners.a.tls", "worker.listeners.NAME.listen"),
        ("worker..loops=1", .configUnknownKey, "--set worker..loops", "did you mean 'worker.loops'"),
        ("worker.loops", .configInvalid, "--set worker.loops", "key.path=value"),
        ("=1", .configInvalid, "--set =1", "key.path=value"),
        ("worker.loops=a: b", .configType, "--set worker.loops", "integer"),
        ("worker.loops=[", .configType, "--set worker.loops", "integer"),
        ("worker.loops=", .configType, "--set worker.loops", "integer"),
        ("rules.settings={a", .configInvalid, "--set rules.settings", ""),
        ("worker={loop: 1}", .configUnknownKey, "--set worker", "did you mean 'loops'"),
        ("worker=1", .configType, "--set worker", "name, advertise"),
        ("log.levels.x=info", .configUnknownKey, "--set log.levels.x", "master, worker, rules, registry, link"),
        ("worker.masters=a:1,,b:2", .configType, "--set worker.masters", "host:port"),
        ("worker.listeners.new.protocol=exchange", .configMissing, "--set worker.listeners.new.protocol", "host:port"),
    ]

    @Test("a wrong --set is told by its key", arguments: wrongSets)
    func wrongSet(_ wrong: (set: String, code: ErrorCode, location: String, help: String)) throws {
        let errors = errors(sets: [wrong.set])
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].code == wrong.code)
        #expect(errors[0].location == wrong.location)
        #expect(wrong.help.isEmpty || errors[0].help?.contains(wrong.help) == true, "\(errors[0])")
    }

    @Test(
        "a wrong variable is told by its name",
        arguments: [
            ("SHUNT_WORKER_LOOP", "1", ErrorCode.configUnknownKey, "SHUNT_WORKER_LOOPS"),
            ("SHUNT_WROKER_LOOPS", "1", .configUnknownKey, "SHUNT_WORKER_LOOPS"),
            ("SHUNT_WORKER_COUNT", "1", .configUnknownKey, ""),
            ("SHUNT_WORKER_LISTENERS_LISTEN", "a:1", .configUnknownKey, ""),
            ("SHUNT_WORKER_LISTENERS_A_TLS", "x", .configUnknownKey, ""),
            ("SHUNT_WORKER_LOOPS", "x", .configType, "integer"),
            ("SHUNT_LOG_LEVELS_NONE", "info", .configUnknownKey, ""),
            ("SHUNT_WORKER_GROUPS_OVERRIDES_a", "sticky", .configUnknownKey, ""),
            ("SHUNT_WORKER_GROUPS_OVERRIDES_A", "best", .configRange, "sticky"),
        ])
    func wrongVariable(name: String, value: String, code: ErrorCode, help: String) throws {
        let errors = errors(environment: [name: value])
        try #require(errors.count == 1, "\(errors)")
        #expect(errors[0].code == code && errors[0].location == name)
        #expect(help.isEmpty || errors[0].help?.contains(help) == true, "\(errors[0])")
    }

    @Test(
        "a variable that cannot be meant for a key stops nothing, and is warned about",
        arguments: [
            "SHUNT_", "SHUNT_VERSION", "SHUNT_HOME", "SHUNT_CONFIG", "SHUNT_NONE",
        ])
    func otherVariable(name: String) throws {
        let configuration = try load(environment: [name: "1", "SHUNT_WORKER_LOOPS": "3"])
        #expect(configuration.worker.loops == 3)
        #expect(configuration.warnings.map(\.location) == [name])
    }

    @Test(
        "nothing that is put over a section makes right what is wrong with it",
        arguments: [
            "worker: 3", "worker: [a]", "worker:\n  loops:3", "worker: { listeners: 3 }", "worker: { http: x }", "rules: { settings: 3 }",
            "log: { levels: [a] }", "limits: true", "master: { exchange: x }",
        ])
    func wrongSection(yaml: String) {
        let sets = [
            "worker.loops=2", "worker.listeners.exchange.listen=a:1", "worker.http.listen=a:2", "rules.settings.x.y=1",
            "log.levels.link=debug", "limits.hops=3", "master.exchange.listen=a:3",
        ]
        for (environment, sets) in [([:], []), (["SHUNT_WORKER_LOOPS": "2", "PATH": "x"], []), ([:], sets)] as [([String: String], [String])] {
            let errors = errors(yaml, environment: environment, sets: sets)
            #expect(errors.map(\.code) == [.configType], "\(errors)")
            #expect(errors.first?.location?.hasPrefix("test.yaml:") == true)
        }
    }

    @Test("variables that Kubernetes sets for a service called shunt are none of ours")
    func serviceLinks() throws {
        let environment = [
            "SHUNT_SERVICE_HOST": "10.0.0.1", "SHUNT_SERVICE_PORT": "4088", "SHUNT_SERVICE_PORT_ADMIN": "4080",
            "SHUNT_PORT": "tcp://10.0.0.1:4088", "SHUNT_PORT_4088_TCP": "tcp://10.0.0.1:4088",
            "SHUNT_PORT_4088_TCP_ADDR": "10.0.0.1", "SHUNT_MASTER_PORT_53_UDP_PORT": "53",
        ]
        #expect(try load(environment: environment) == Configuration(hostName: "host-1"))
    }
}
