import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import RawHTTP
import ShuntCore
import ShuntHTTP
import ShuntMaster
import ShuntRegistry
import Synchronization
import Testing

@testable import ShuntAdmin

@Suite struct AdminCommandTests {
    @Test(
        "The master and the file give the same answer, in every format",
        arguments: [
            ["workers"], ["workers", "--state", "lost"], ["workers", "--limit", "1", "--offset", "1"], ["worker", "10.0.0.2"],
            ["events"],
            ["events", "--after", "1", "--limit", "1"], ["events", "--kind", "worker.lost"],
            ["devices"], ["devices", "--uid", "alice & co"], ["devices", "--tag", "vip", "--online"], ["devices", "--offline"],
            ["devices", "--worker", "10.0.0.1:4091", "--limit", "1", "--offset", "2"], ["device", "alice & co"], ["device", "bob"],
            ["chats"], ["chats", "--worker", "10.0.0.2:4091"], ["chat", "room 1/x"],
            ["query", "SELECT name, port, 1.5, NULL, x'00' FROM workers"],
        ])
    func sameAnswers(_ arguments: [String]) async throws {
        try await withMaster { master async throws in
            for format in OutputFormat.allCases {
                let options = arguments + ["--output", format.rawValue]
                let fromMaster = try await run(options + master.api)
                #expect(fromMaster.exitCode == 0)
                #expect(!fromMaster.output.isEmpty)
                #expect(try await run(options + master.file) == fromMaster)
            }
        }
    }

    @Test("JSON is just what the admin API gives")
    func exactJSON() async throws {
        try await withMaster { master async throws in
            for (arguments, target) in [
                (["workers"], "/api/v1/workers"), (["worker", "10.0.0.1"], "/api/v1/workers/10.0.0.1"),
                (["events"], "/api/v1/events?limit=20"),
                (["query", "SELECT 1"], "/api/v1/query?sql=SELECT+1"), (["devices", "--offline"], "/api/v1/devices?online=false"),
                (["device", "bob"], "/api/v1/devices/bob"), (["chats"], "/api/v1/chats"),
                (["chat", "room2"], "/api/v1/chats/room2"),
            ] {
                let api = try await RawHTTP.get(target, port: master.endpoint.port)
                #expect(try await run(arguments + ["--output", "json"] + master.api).output == api.body + "\n")
            }
        }
    }

    @Test("Workers, one worker and events are tables for people")
    func tables() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["workers", "--state", "draining"] + master.api, width: 60).output == """
                    WORKER         NAME    STATE     CONNECTIONS  HEARTBEAT
                    10.0.0.2:4091  edge-2  draining            2     2s ago

                    """)
            let detail = try await run(["worker", "10.0.0.3"] + master.api).output
            #expect(detail.contains("state              lost\n"))
            #expect(detail.contains("started            1970-01-01T00:06:40Z, 10m ago\n"))
            #expect(detail.contains("listener mqtt      10.0.0.3:1883\n"))
            #expect(
                try await run(["events", "--limit", "1"] + master.api).output == """
                    TIME                  ID  KIND           SUBJECT  DETAIL
                    1970-01-01T00:00:03Z   3  worker.joined  edge-3   first, "heartbeat"

                    """)
        }
    }

    @Test("Devices and chats are tables for people")
    func sessionTables() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["devices"] + master.api).output == """
                    UID         DEVICE  STATE      SEEN  WORKER  TAGS    ALIAS  ADDRESS         CONNECTED
                    alice & co  phone   online      now  edge-1  vip eu         10.9.0.1:50000    10m ago
                    bob         laptop  offline  1m ago  edge-1                 10.9.0.1:50000    10m ago
                    bob         phone   online      now  edge-1  vip            10.9.0.1:50000    10m ago

                    """)
            #expect(try await run(["devices"] + master.api, width: 40).output.split(separator: "\n").allSatisfy { $0.count <= 40 })
            #expect(
                try await run(["device", "bob"] + master.api).output == """
                    uid        bob
                    device     laptop
                    state      offline
                    worker     edge-1
                    address    10.9.0.1:50000
                    tags       -
                    alias      -
                    connected  1970-01-01T00:06:40Z, 10m ago
                    left       1970-01-01T00:15:40Z, 1m ago

                    uid         bob
                    device      phone
                    state       online
                    worker      edge-1
                    address     10.9.0.1:50000
                    tags        vip
                    alias       -
                    connected   1970-01-01T00:06:40Z, 10m ago
                    registered  1970-01-01T00:06:40Z, 10m ago

                    """)
            #expect(
                try await run(["chats"] + master.api).output == """
                    CHAT      WORKER  MEMBERS  CREATED  HEARD OF
                    room 1/x  edge-1        2   2m ago   10s ago
                    room2     edge-2        3   5m ago    5s ago

                    """)
            #expect(
                try await run(["chat", "room2"] + master.api).output.hasPrefix("chat      room2\nworker    edge-2\n"))
            let page = try await run(["devices", "--limit", "1"] + master.api)
            #expect(page.errors == "1 of 3 devices; the others with --limit and --offset\n")
            #expect(try await run(["chats", "--limit", "1"] + master.api).errors.hasPrefix("1 of 2 chats"))
        }
    }

    @Test("A chat is closed by a master, in every format; with the file alone it is refused")
    func closeChat() async throws {
        try await withMaster { master async throws in
            for (format, output) in [
                ("table", "closed room 1/x\n"), ("json", "{\"closed\":\"room 1/x\"}\n"), ("csv", "closed\r\nroom 1/x\r\n"),
            ] {
                let outcome = try await run(["close-chat", "room 1/x", "--output", format] + master.api)
                #expect(outcome == Outcome(output: output, errors: "", exitCode: 0))
            }
            let refused = try await run(["close-chat", "room2"] + master.file)
            #expect(refused.exitCode == 77)
            #expect(refused.errors.contains("(registry.read_only)\n       leave --registry away"))
        }
    }

    @Test("What is not shown is said beside the table")
    func notes() async throws {
        try await withMaster { master async throws in
            let page = try await run(["workers", "--limit", "1"] + master.api, width: 30)
            #expect(page.errors.contains("1 of 3 workers"))
            #expect(page.errors.contains("hidden for want of room:"))
            #expect(page.errors.split(separator: "\n").allSatisfy { $0.count <= 30 })
            let cut = try await run(
                ["query", "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"] + master.api)
            #expect(cut.errors.contains("more than these 10000 rows"))
            #expect(cut.exitCode == 0)
        }
    }

    @Test("Lists of a worker that is not there are worker.unknown; the beginning of a name is enough")
    func unknownWorker() async throws {
        try await withMaster { master async throws in
            for source in [master.api, master.file] {
                for kind in ["devices", "chats"] {
                    let unknown = try await run([kind, "--worker", "nope"] + source)
                    #expect(unknown.exitCode == 65 && unknown.output.isEmpty && unknown.errors.contains("(worker.unknown)"))
                    let known = try await run([kind, "--worker", "10.0.0.1", "--output", "csv"] + source)
                    #expect(known.exitCode == 0 && known.output.contains("10.0.0.1:4091"))
                    // It has none, and is there.
                    #expect(try await run([kind, "--worker", "10.0.0.3:4091"] + source).exitCode == 0)
                }
            }
        }
    }

    @Test("The file's workers are lost once they have not been heard of for long, whatever the file says")
    func aged() async throws {
        try await withMaster { master async throws in
            func states(_ arguments: [String], now: Double) async throws -> [String] {
                let answer = try await run(arguments + ["--output", "csv"] + master.file, now: now).output
                return answer.split(separator: "\r\n").dropFirst().map { String($0.split(separator: ",")[3]) }
            }
            #expect(try await states(["workers"], now: 1_018) == ["live", "draining", "lost"])
            #expect(try await states(["workers"], now: 1_018.5) == ["live", "lost", "lost"])
            #expect(try await states(["workers"], now: 5_000) == ["lost", "lost", "lost"])
            #expect(try await states(["workers", "--state", "live"], now: 5_000).isEmpty)
            #expect(try await states(["workers", "--state", "lost", "--offset", "1", "--limit", "1"], now: 5_000) == ["lost"])
            #expect(try await states(["worker", "10.0.0.1"], now: 5_000) == ["lost"])
        }
    }

    @Test("An answer that cannot be written is told, and ends with 74")
    func fullDisk() async throws {
        try await withMaster { master async throws in
            let recorder = Recorder()
            var console = recorder.console()
            console.write = { _ throws(ShuntError) in throw ShuntError(.ioFailed, "standard output cannot be written: full") }
            for arguments in [["workers"], ["events", "--output", "csv"], ["query", "SELECT 1", "--output", "json"]] {
                let command = try #require(try AdminCommand.parseAsRoot(arguments + master.api) as? any AdminSubcommand)
                let code = await #expect(throws: ExitCode.self) { try await command.run(on: console) }
                #expect(code?.rawValue == 74)
            }
            #expect(recorder.errors.contains("standard output cannot be written: full (io.failed)"))
        }
    }

    @Test("A file that is not there is named by the option that named it")
    func missingFile() async throws {
        let outcome = try await run(["workers", "--registry", "/nowhere/registry.sqlite"])
        #expect(outcome.exitCode == 69 && outcome.errors.contains("with --registry"))
    }

    @Test("A worker is found by the name that its configuration gives it, in lists too; several of that name are told")
    func workerNames() async throws {
        try await withMaster { master async throws in
            for source in [master.api, master.file] {
                for name in ["edge-3", "10.0.0.3:4091"] {
                    let detail = try await run(["worker", name] + source).output
                    #expect(detail.contains("worker             10.0.0.3:4091\n"))
                    #expect(detail.contains("name               edge-3\n"))
                    #expect(detail.contains("held producers     0\n"))
                    #expect(detail.contains("stuck consumers    0\n"))
                }
                #expect(try await run(["devices", "--worker", "edge-1", "--output", "csv"] + source).output.contains("alice"))
                let many = try await run(["worker", "edge-"] + source)
                #expect(many.exitCode == 65)
                #expect(many.errors.contains("10.0.0.1:4091, 10.0.0.2:4091, 10.0.0.3:4091"))
            }
        }
    }

    @Test("CSV holds every field")
    func csv() async throws {
        try await withMaster { master async throws in
            let lines = try await run(["workers", "--output", "csv"] + master.api).output.split(separator: "\r\n")
            #expect(lines.count == 4)
            #expect(
                lines[1]
                    == "10.0.0.1:4091,10.0.0.1,4091,live,m-1,shunt 0.1.0,mqtt=10.0.0.1:1883,400.0,999.0,edge-1,[],1"
                    + String(repeating: ",0", count: WorkerFigures.columns.count - 1)
            )
            #expect(
                try await run(["events", "--output", "csv", "--limit", "1"] + master.api).output.hasSuffix(
                    "3,3.0,worker.joined,10.0.0.3:4091,\"first, \"\"heartbeat\"\"\"\r\n"))
            #expect(
                try await run(["device", "alice & co", "--output", "csv"] + master.api).output.hasSuffix(
                    "\r\nalice & co,phone,\"[\"\"vip\"\",\"\"eu\"\"]\",[],10.0.0.1:4091,10.9.0.1:50000,true,400.0,400.0\r\n"))
            #expect(
                try await run(["chat", "room2", "--output", "csv"] + master.api).output.hasSuffix(
                    "\r\nroom2,10.0.0.2:4091,700.0,3,995.0\r\n"))
        }
    }

    @Test(
        "An error is a sentence with help on standard error, and its own exit code",
        arguments: [
            (["worker", "nobody"], 65, "worker.unknown"), (["device", "bo"], 65, "device.unknown"),
            (["chat", "nothing"], 65, "chat.unknown"), (["query", "DELETE FROM workers"], 77, "registry.read_only"),
            (["query", "SELEC"], 65, "query.invalid"), (["query", "SELECT 1; SELECT 2"], 65, "query.invalid"),
        ] as [([String], Int32, String)])
    func errors(_ arguments: [String], _ exitCode: Int32, _ code: String) async throws {
        try await withMaster { master async throws in
            for source in [master.api, master.file] {
                let outcome = try await run(arguments + source)
                #expect(outcome.exitCode == exitCode)
                #expect(outcome.output.isEmpty)
                #expect(outcome.errors.hasPrefix("shunt: "))
                #expect(outcome.errors.contains("(\(code))\n       "))
            }
        }
    }

    @Test("The file is read while no master runs; one that is not a registry is refused")
    func fileAlone() async throws {
        let master = try await Master()
        await master.endpoint.stop()
        try await master.registry.close()
        #expect(try await run(["workers"] + master.file).output.contains("10.0.0.3:4091"))
        let text = master.folder.appending(path: "notes.txt").path
        try Data("not a registry at all".utf8).write(to: URL(filePath: text))
        #expect(try await run(["workers", "--registry", text]).exitCode == 78)
        #expect(try await run(["workers", "--registry", text + ".missing"]).exitCode == 69)
        try FileManager.default.removeItem(at: master.folder)
    }

    @Test("A master that cannot be reached is 69, and says what to try")
    func noMaster() async throws {
        // A port that is taken and not listened on: one that was given back may be another test's by now.
        let socket = try RefusingSocket()
        let port = socket.port
        let outcome = try await run(["workers", "--master", "127.0.0.1:\(port)"])
        #expect(outcome.exitCode == 69)
        #expect(outcome.errors.hasPrefix("shunt: 127.0.0.1:\(port): no master can be reached (master.unavailable)\n"))
        #expect(outcome.errors.contains("shunt dev") && outcome.errors.contains("--registry"))
        #expect(try await run(["workers"], environment: ["SHUNT_ADMIN": "127.0.0.1:\(port)"]) == outcome)
        #expect(try await run(["workers"], environment: ["SHUNT_MASTER": "non:sense"]).exitCode == 64)
        #expect(try await run(["workers"], environment: ["SHUNT_ADMIN": "non:sense"]).exitCode == 64)
    }

    @Test("What answers and is not a master is 69 too")
    func otherServer() async throws {
        let routes = [
            HTTPRoute(.get, "/api/v1/workers", parameters: [.limit(1_000), .offset]) { _ in
                .text("<html>hello</html>", type: "text/html")
            },
            HTTPRoute(.get, "/api/v1/events", parameters: [.limit(1_000)]) { _ in .json(Array("{\"other\":1}".utf8)) },
            HTTPRoute(.get, "/api/v1/workers/{name}") { _ in .text("[", type: "application/json; charset=utf-8") },
        ]
        let endpoint = try await HTTPEndpoint.start(routes, .init(host: "127.0.0.1", port: 0), logger: quiet)
        for arguments in [["workers"], ["events"], ["worker", "x"]] {
            let outcome = try await run(arguments + ["--master", "http://127.0.0.1:\(endpoint.port)/"])
            #expect(outcome.exitCode == 69)
            #expect(outcome.errors.contains("master.unavailable"))
        }
        await endpoint.stop()
    }

    @Test("An event's detail is whole at 80 columns, in the table and when it is followed")
    func wholeDetail() async throws {
        let detail = "not heard of for 20 s, and its connection was closed by the other side before that"
        let event = StoredEvent(id: 1, at: 3, kind: "worker.lost", subject: "10.0.0.3:4091", detail: detail)
        for text in [EventListing.table([event]).render(width: 80, colors: false).text, EventListing.lines([event], width: 80)] {
            #expect(text.split(separator: "\n").allSatisfy { Text.width(String($0)) <= 80 })
            #expect(!text.contains("…"))
            for word in detail.split(separator: " ") { #expect(text.contains(word)) }
        }
        for width in 1...120 {
            let text = EventListing.lines([event], width: width)
            #expect(text.split(separator: "\n").allSatisfy { Text.width(String($0)) <= width })
        }
    }

    @Test(
        "Wrong usage is 64 and says what would be right",
        arguments: [
            (["workers", "--limit", "0"], "1 to 1000"), (["workers", "--offset", "-1"], nil),
            (["workers", "--master", "x:y"], "127.0.0.1:4080"),
            (["workers", "--master", "a:1", "--registry", "b"], "exclude"),
            (["workers", "--state", "asleep"], "'live', 'draining', 'left', 'lost' or 'unknown'"),
            (["events", "--limit", "1001"], "1 to 1000"), (["events", "--interval", "0"], "0.01 to 3600"), (["query"], "sql"),
            (["nothing"], nil),
            (["worker", ""], "empty"), (["device", ""], "empty"), (["chat", ""], "empty"), (["close-chat", ""], "empty"),
            (["close-chat"], "id"), (["devices", "--online", "--offline"], "exclude"), (["devices", "--limit", "0"], "1 to 1000"),
            (["chats", "--offset=-1"], "0 or more"), (["workers", "--output", "xml"], "table"),
        ] as [([String], String?)])
    func usage(_ arguments: [String], _ help: String?) throws {
        let error = try #require(throws: (any Error).self) { try AdminCommand.parseAsRoot(arguments) }
        #expect(AdminCommand.exitCode(for: error).rawValue == 64)
        if let help { #expect(AdminCommand.fullMessage(for: error).contains(help)) }
    }

    @Test(
        "Help teaches by example",
        arguments: [
            AdminCommand.self, WorkersCommand.self, WorkerCommand.self, DevicesCommand.self, DeviceCommand.self, ChatsCommand.self,
            ChatCommand.self, CloseChatCommand.self, EventsCommand.self, QueryCommand.self,
            BanCommand.self, UnbanCommand.self, BansCommand.self, ClientsCommand.self, ClientCommand.self, KickCommand.self,
            SubscriptionsCommand.self, GroupsCommand.self, DrainCommand.self, UndrainCommand.self, BalanceCommand.self, ReloadCommand.self,
            ConfigCommand.self, LogCommand.self, HistoryCommand.self, StepDownCommand.self, ServeCommand.self,
        ] as [any ParsableCommand.Type])
    func help(_ command: any ParsableCommand.Type) {
        let text = AdminCommand.helpMessage(for: command)
        let name = command == AdminCommand.self ? "workers" : command.configuration.commandName ?? ""
        #expect(text.contains("\n  shunt admin \(name)"))
        // Wrapped examples cannot be copied.
        #expect(text.split(separator: "\n").allSatisfy { !$0.hasPrefix("  shunt") || $0.count <= 80 })
        #expect(!command.configuration.discussion.split(separator: "\n").contains { $0.count > 80 && $0.hasPrefix("  shunt") })
    }

    /// A port that nothing listens on: one that was just given back.
}

/// A port of loopback that refuses connections, as long as this lives.
private final class RefusingSocket {
    let port: Int
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in(
            sin_family: sa_family_t(AF_INET), sin_port: 0, sin_addr: in_addr(s_addr: UInt32(0x7F00_0001).bigEndian),
            sin_zero: (0, 0, 0, 0, 0, 0, 0, 0))
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [descriptor] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        try #require(isBound)
    }

    deinit { close(descriptor) }
}
