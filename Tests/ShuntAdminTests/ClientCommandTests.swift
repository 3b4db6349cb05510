import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite struct ClientCommandTests {
    @Test("Clients are tables for people, and CSV, from the master and from the registry's file")
    func lists() async throws {
        try await withMaster { master async throws in
            for source in [master.api, master.file] {
                #expect(
                    try await run(["clients"] + source)
                        == Outcome(
                            output: """
                                CLIENT   UID  STATE        SINCE  WORKER  PROTOCOL    SUBS  ADDRESS         SESSION
                                =x,y     -    away       10m ago  edge-2  mqtt 3.1.1     0  -               1-8388608-4
                                meter-7  ann  connected   1m ago  edge-1  mqtt 5.0       2  10.9.0.1:50000  0-1-1

                                """, errors: "", exitCode: 0))
                #expect(
                    try await run(["clients", "--away", "--output", "csv"] + source).output
                        == "worker,session,client,uid,protocol,listener,address,state,since,subscriptions\r\n"
                        + "10.0.0.2:4091,1-8388608-4,\"'=x,y\",,mqtt 3.1.1,,,away,400.0,0\r\n")
                #expect(try await run(["clients", "METER", "--output", "csv"] + source).output.split(separator: "\r\n").count == 2)
                let one = try await run(["clients", "--worker", "edge-1", "--limit", "1", "--output", "json"] + source)
                #expect(one.output.hasPrefix(#"{"clients":[{"address":"10.9.0.1:50000","client":"meter-7","#))
            }
            let cut = try await run(["clients", "--limit", "1"] + master.api)
            #expect(cut.errors == "1 of 2 clients; the others with --limit and --offset\n")
        }
    }

    @Test("One client is shown with what its worker knows; a name that no worker knows is an error")
    func detail() async throws {
        try await withMaster { master async throws in
            let shown = try await run(["client", "meter-7"] + master.api)
            #expect(shown.exitCode == 0)
            for line in [
                "in flight     1 of 20", "queued        3 messages, 99 bytes", "waits for it  0 B", "subscribed    2, the newest:",
                "              a/# (group g, QoS 1)",
            ] {
                #expect(shown.output.contains(line + "\n"), "\(shown.output)")
            }
            let csv = try await run(["client", "meter-7", "--output", "csv"] + master.api)
            #expect(csv.output.hasSuffix("connected,940.0,1,3,99,0,none,a/#,g,,1\r\n"))
            let unknown = try await run(["client", "x"] + master.api)
            #expect(unknown.exitCode == 65 && unknown.errors.hasPrefix("shunt: no worker has a client 'x' (client.unknown)"))
            #expect(try await run(["client", "meter-7"] + master.file).exitCode == 65)
        }
    }

    @Test("A kick tells what was closed; where nobody is, or a worker has not answered, it is an error")
    func kick() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["kick", "meter-7"] + master.api) == Outcome(output: "closed 1 client at edge-1\n", errors: "", exitCode: 0))
            #expect(try await run(["kick", "meter-7", "--end-session"] + master.api).output == "closed 1 client, ended 1 session at edge-1\n")
            let missing = try await run(["kick", "meter-8"] + master.api)
            #expect(missing.output == "closed 1 client at edge-1\n" && missing.exitCode == 69)
            #expect(missing.errors.hasPrefix("shunt: no answer from edge-3 (connection.lost)\n"), "\(missing.errors)")
            #expect(missing.errors.contains("the client may be there too"))
            let unknown = try await run(["kick", "x"] + master.api)
            #expect(unknown.exitCode == 65 && unknown.errors.hasPrefix("shunt: no worker has a client 'x' to close (client.unknown)"))
            #expect(try await run(["kick", "meter-7"] + master.file).exitCode == 65)
        }
    }

    @Test("Topics of all workers are a table, CSV and JSON, by what they carry in all or now")
    func topics() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["topics"] + master.api)
                    == Outcome(
                        output: """
                            TOPIC  MESSAGES/S  BYTES/S  RECIPIENTS/S  MESSAGES    BYTES  RECIPIENTS  WORKERS
                            =c              0      0 B             0        40     80 B           0        1
                            a,b           1.3    128 B           0.1        30  4.0 KiB          60        1

                            """, errors: "2 of 7 topics or more; the others with --limit\n", exitCode: 0))
            let csv = try await run(["topics", "--top", "--limit", "1", "--output", "csv"] + master.api).output
            #expect(csv.hasSuffix("recipients,workers\r\n\"a,b\",1.25,128.0,0.05,30,4096,60,1\r\n"))
            #expect(try await run(["topics", "--by", "bytes", "--output", "json"] + master.api).output.contains(#""messages_per_second":1.25"#))
        }
    }

    @Test("Filters and groups are tables and CSV; where there are more the table says so")
    func subscribed() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["subscriptions", "a/#"] + master.api)
                    == Outcome(
                        output: """
                            FILTER  SUBSCRIPTIONS  WORKER
                            a,b/#               3  edge-1

                            """, errors: "edge-1: 1 of 2 filters, with 4 subscriptions in all\n", exitCode: 0))
            #expect(try await run(["subscriptions", "--output", "csv"] + master.api).output.hasSuffix("\r\n\"a,b/#\",3,10.0.0.1:4091\r\n"))
            #expect(
                try await run(["groups"] + master.api)
                    == Outcome(
                        output: """
                            GROUP  SUBSCRIPTIONS  STRATEGY  WORKER
                            g                  3  sticky    edge-1

                            """, errors: "", exitCode: 0))
            let groups = try await run(["groups", "--output", "json"] + master.api)
            #expect(groups.output.contains(#""answer":{"groups":[{"group":"g","strategy":"sticky","subscriptions":3}],"subscriptions":3,"total":1}"#))
            for command in ["subscriptions", "groups", "topics"] { #expect(try await run([command] + master.file).exitCode == 65) }
        }
    }

    @Test(
        "Wrong arguments are refused before anybody is asked",
        arguments: [
            ["clients", "--away", "--connected"], ["clients", "--limit", "0"], ["client", ""], ["client", "x", "--subscriptions", "1001"], ["kick"],
            ["kick", "x", "--session", "0-1-1", "--worker", "w"], ["kick", "--session", "0-1-1"], ["kick", "--session", "x", "--worker", "w"],
            ["subscriptions", "a#"], ["subscriptions", ""], ["subscriptions", "--limit", "0"], ["groups", "--limit", "1001"], ["groups", "g"],
            ["topics", "--by", "size"], ["topics", "--limit", "0"], ["topics", "t"],
            ["kick", "--session", "0-1-1", "--worker", "w", "--protocol", "mqtt"],
            ["drain", "w", "--rate", "0"], ["drain", "w", "--rate", "x"], ["balance", "--apply", "--rate", "1000000000"], ["balance", "--rate", "5"],
        ])
    func wrong(arguments: [String]) {
        #expect(throws: (any Error).self) { try AdminCommand.parseAsRoot(arguments) }
    }
}
