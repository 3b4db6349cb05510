import Foundation
import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("profile: hardened, and doors that stand open")
struct ProfileTests {
    @Test("each stricter default is one that can be set, differs from the standard one, and holds")
    func rows() throws {
        let standard = try load("worker: {listeners: {a: {listen: \"127.0.0.1:0\", access: {acl_file: x}}}}")
        let hardened = try load("profile: hardened\nworker: {listeners: {a: {listen: \"127.0.0.1:0\", access: {acl_file: x}}}}")
        let (live, restart) = Configuration.changes(from: standard, to: hardened)
        let changed = Set((live + restart).map(\.key))
        let expected = HardenedDefaults.rows.map(\.key).filter { $0 != "worker.listeners.*.allow_anonymous" }
        #expect(changed == Set(expected.map { $0.replacing("*", with: "a") } + ["profile"]))
        for row in HardenedDefaults.rows where !row.key.contains("*") {
            let key = try #require(Configuration.keys.first { $0.path == row.path })
            #expect(key.text(hardened) == row.value, "\(row.key)")
        }
    }

    @Test("docs/security.md has each of them, with both defaults")
    func page() throws {
        let file = configFolder.deletingLastPathComponent().appending(path: "docs/security.md")
        let rows = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").filter { $0.hasPrefix("| `") }
        let standard = try load("")
        for row in HardenedDefaults.rows where row.key != "worker.listeners.*.access.flapping.connects" {
            let cells = rows.first { $0.hasPrefix("| `\(row.key)` |") }?.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            #expect(cells?.count == 4 && cells?[2] == "`\(row.value)`", "\(row.key)")
            guard let key = Configuration.keys.first(where: { $0.path == row.path }) else { continue }
            #expect(cells?[1] == "`\(key.text(standard))`", "\(row.key)")
        }
    }

    @Test("the listener that there is without any named lets nobody in unasked")
    func builtIn() throws {
        #expect(try load("profile: hardened").worker.listeners["exchange"]?.allowAnonymous == false)
        #expect(try load("", sets: ["profile=hardened"]).worker.listeners["exchange"]?.allowAnonymous == false)
        #expect(try load("", environment: ["SHUNT_PROFILE": "hardened"]).worker.listeners["exchange"]?.allowAnonymous == false)
        let set = try load("profile: hardened", sets: ["worker.listeners.exchange.allow_anonymous=true"])
        #expect(set.worker.listeners["exchange"]?.allowAnonymous == true)
    }

    @Test("what is written counts, and sections keep the rest of the stricter defaults")
    func written() throws {
        let configuration = try load(
            """
            profile: hardened
            access: { flapping: { connects: 0 } }
            limits: { frame: 32MiB }
            worker:
              listeners:
                a: { listen: "127.0.0.1:0", allow_anonymous: true, limits: { messages_per_second: 0 }, tls: { minimum: "1.2" } }
                behind: { listen: "127.0.0.1:0", proxy_protocol: { from: [10.0.0.1] } }
                shared: { listen: "127.0.0.1:0", access: {} }
            """)
        #expect(configuration.limits.frame == 32 << 20 && configuration.limits.outBuffer == 2 << 20)
        #expect(configuration.access.flapping.connects == 0)
        let a = try #require(configuration.worker.listeners["a"])
        #expect(a.allowAnonymous && a.limits.messagesPerSecond == 0 && a.limits.connectionsPerAddress == 100 && a.tls.minimum == .tls12)
        let behind = try #require(configuration.worker.listeners["behind"])
        #expect(behind.limits.connectionsPerAddress == 0 && behind.limits.connectionsPerSecond == 500 && behind.access.isEmpty)
        #expect(configuration.worker.listeners["shared"]?.access.isEmpty == true)
    }

    @Test("errors keep their places, whatever the profile puts beside them")
    func errorsWithPlaces() {
        let wrong = "profile: hardened\nlimits: 3\nworker: {listeners: {a: 5, b: {listen: \"127.0.0.1:0\", tls: x}}}"
        let found = ShuntConfigTests.errors(wrong)
        #expect(found.map(\.code) == [.configType, .configType, .configType], "\(found)")
        #expect(Set(found.map { $0.location ?? "" }) == ["test.yaml:2:9", "test.yaml:3:25", "test.yaml:3:60"], "\(found)")
        #expect(ShuntConfigTests.errors("profile: tight").map(\.code) == [.configRange])
    }

    /// A worker's settings, and what is said of them: the keys of doors that a hardened process does not start with, and of those that it does.
    static let workers: [(yaml: String, refused: [String], warned: [String])] = [
        ("listeners: {a: {listen: \"127.0.0.1:1\", allow_anonymous: true}}", [], []),
        ("listeners: {a: {listen: \"[::1]:1\", allow_anonymous: true}, b: {listen: \"unix:/x\", allow_anonymous: true}}", [], []),
        ("listeners: {a: {listen: \"localhost:1\", allow_anonymous: true}}", [], []),
        ("listeners: {a: {listen: \"0.0.0.0:1\", allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"[::]:1\", allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"10.0.0.1:1\", allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"broker.example.org:1\", allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        // Named, but in clear; a proxy may speak TLS to clients, and its own way here is the network.
        ("listeners: {a: {listen: \"0.0.0.0:1\"}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"0.0.0.0:1\", proxy_protocol: {from: [10.0.0.1]}}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"0.0.0.0:1\", tls: {certificate: c}}}", [], ["a.listen"]),
        ("listeners: {a: {listen: \"0.0.0.0:1\", tls: {certificate: c}, access: {acl_file: x}}}", [], []),
        ("listeners: {a: {listen: \"0.0.0.0:1\", tls: {certificate: c}, allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"0.0.0.0:1\", tls: {certificate: c, verify: optional}, allow_anonymous: true}}", ["a.listen"], ["a.listen"]),
        ("listeners: {a: {listen: \"0.0.0.0:1\", tls: {certificate: c, verify: required}, allow_anonymous: true}}", [], ["a.listen"]),
        (
            "listeners: {a: {listen: \"0.0.0.0:1\", allow_anonymous: true}, b: {listen: \"0.0.0.0:2\"}}", ["a.listen", "b.listen"],
            ["a.listen", "b.listen"]
        ),
        ("http: {listen: \"0.0.0.0:9091\"}", [], ["worker.http.listen"]),
        ("masters: [\"10.0.0.9:4088\"]", ["worker.masters"], []),
        ("masters: []", [], []),
    ]

    @Test("a worker's doors: refused by the hardened profile, told by the standard one", arguments: workers)
    func workerDoors(row: (yaml: String, refused: [String], warned: [String])) throws {
        let role = Configuration.Role(hasMaster: false, hasWorker: true, hasClusterToken: false)
        let keys = { (names: [String]) in names.map { $0.hasPrefix("worker.") ? $0 : "worker.listeners.\($0)" } }
        let hardened = try load("profile: hardened\nworker: {\(row.yaml)}")
        let doors = hardened.openDoors(of: role)
        let places = { (keys: [String]) in keys.compactMap { hardened.place(of: $0) } }
        #expect(doors.filter(\.isRefused).map { $0.error.location ?? "" } == places(keys(row.refused)))
        #expect(doors.filter { !$0.isRefused }.map { $0.error.location ?? "" } == places(keys(row.warned)))
        #expect(doors.filter(\.isRefused).allSatisfy { $0.error.code == .configInvalid && $0.error.help?.contains("standard") == true })
        // The standard profile refuses nothing, says the same of doors, and nothing of listeners without lists.
        let standard = try load("worker: {\(row.yaml)}").openDoors(of: role)
        let figures = row.warned.filter { $0.hasPrefix("worker.") }.count
        #expect(standard.allSatisfy { !$0.isRefused } && standard.count == row.refused.count + figures)
        #expect(zip(standard, doors).allSatisfy { $0.error.message == $1.error.message })
    }

    static let masters: [(yaml: String, hasToken: Bool, refused: [String])] = [
        ("", false, []),
        ("admin: {listen: \"0.0.0.0:1\"}", false, ["master.admin.listen"]),
        ("admin: {listen: \"0.0.0.0:1\", tokens_file: t}", false, ["master.admin.listen"]),
        ("admin: {listen: \"0.0.0.0:1\", tls: {certificate: c}}", false, ["master.admin.listen"]),
        ("admin: {listen: \"0.0.0.0:1\", tls: {certificate: c}, tokens_file: t}", false, []),
        ("exchange: {listen: \"10.1.1.1:1\"}", false, ["master.exchange.listen"]),
        ("exchange: {listen: \"10.1.1.1:1\"}", true, []),
        ("{admin: {listen: \"0.0.0.0:1\"}, exchange: {listen: \"0.0.0.0:2\"}}", false, ["master.admin.listen", "master.exchange.listen"]),
    ]

    @Test("a master's doors", arguments: masters)
    func masterDoors(row: (yaml: String, hasToken: Bool, refused: [String])) throws {
        let role = Configuration.Role(hasMaster: true, hasWorker: false, hasClusterToken: row.hasToken)
        let master = row.yaml.hasPrefix("{") ? row.yaml : "{\(row.yaml)}"
        for profile in Configuration.Profile.allCases {
            let configuration = try load("profile: \(profile)\nmaster: \(master)")
            let doors = configuration.openDoors(of: role)
            #expect(doors.map(\.isRefused) == row.refused.map { _ in profile == .hardened })
            #expect(doors.map { $0.error.location } == row.refused.map { configuration.place(of: $0) })
        }
    }

    @Test("of both in one process, the worker's master is at home")
    func dev() throws {
        let configuration = try load("profile: hardened\nworker: {masters: [\"10.0.0.9:4088\"]}")
        #expect(configuration.openDoors(of: .init(hasMaster: true, hasWorker: true, hasClusterToken: false)).isEmpty)
    }

    @Test(
        "settings of a listener that change nothing are told, on loopback too",
        arguments: [
            ("tls: {certificate: c, client_ca: ca}", "tls.client_ca"), ("tls: {certificate: c, client_ca: ca, verify: optional}", nil),
            ("proxy_protocol: {from: [127.0.0.1/32]}", nil), ("origins: [\"https://a.example\"]", "origins"),
            ("transport: websocket, origins: [\"https://a.example\"]", nil),
        ] as [(String, String?)])
    func idle(listener: String, key: String?) throws {
        let configuration = try load("worker: {listeners: {a: {protocol: mqtt, listen: \"127.0.0.1:0\", \(listener)}}}")
        let told = configuration.openDoors(of: .init(hasMaster: false, hasWorker: true, hasClusterToken: false))
        #expect(told.map { $0.error.location } == [key].compactMap { $0.map { configuration.place(of: "worker.listeners.a.\($0)") } })
        #expect(told.allSatisfy { !$0.isRefused && $0.error.message.contains("changes nothing") })
    }

    @Test("everybody as a proxy is told", arguments: ["0.0.0.0/0", "::/0"])
    func everybodyIsProxy(range: String) throws {
        let listener = "a: {protocol: mqtt, listen: \"127.0.0.1:0\", proxy_protocol: {from: [10.0.0.0/8, \"\(range)\"]}}"
        let configuration = try load("worker: {listeners: {\(listener)}}")
        let told = configuration.openDoors(of: .init(hasMaster: false, hasWorker: true, hasClusterToken: false))
        #expect(told.count == 1 && told.allSatisfy { !$0.isRefused && $0.error.message.contains("takes everybody for a proxy") })
    }

    @Test("settings for message-channel that change nothing are told")
    func java() throws {
        let open = try load("cluster: {allow_java: true, java_from: [10.0.0.0/8]}")
        for (hasToken, count) in [(false, 1), (true, 0)] {
            #expect(open.openDoors(of: .init(hasMaster: false, hasWorker: true, hasClusterToken: hasToken)).count == count)
        }
    }
}
