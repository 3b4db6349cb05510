import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite struct RetainedCommandTests {
    @Test("Retained messages are tables for people, and CSV; what is not shown is said")
    func lists() async throws {
        try await withMaster { master async throws in
            #expect(
                try await run(["retained"] + master.api)
                    == Outcome(
                        output: """
                            TOPIC   BYTES  QOS   STORED  EXPIRES IN  WORKER
                            a'b/=1      5    1   1m ago          1m  edge-1
                            c           7    0  10m ago           -  edge-2

                            """, errors: "", exitCode: 0))
            #expect(
                try await run(["retained", "gone", "--limit", "1", "--output", "csv"] + master.api)
                    == Outcome(
                        output: "topic,bytes,qos,stored_at,expires_at,worker\r\na'b/=1,5,1,940.0,1060.0,10.0.0.1:4091\r\n",
                        errors: """
                            1 of 2 retained messages; go on with --after '10.0.0.1:4091 a'\\''b/=1'
                            no answer from 10.0.0.3:4091: what is retained there is not listed

                            """, exitCode: 0))
            let rest = try await run(["retained", "--after", "10.0.0.1:4091 a'b/=1", "--output", "json"] + master.api)
            #expect(rest.output.hasPrefix(#"{"limit":100,"missing":[],"retained":[{"bytes":7,"qos":0,"stored_at":400,"topic":"c","#))
        }
    }

    @Test("What was cleared is counted; a worker that has not answered is an error")
    func clears() async throws {
        try await withMaster { master async throws in
            #expect(try await run(["retained", "#", "--clear"] + master.api) == Outcome(output: "cleared 2\n", errors: "", exitCode: 0))
            let missing = try await run(["retained", "gone", "--clear"] + master.api)
            #expect(missing.exitCode == 69 && missing.output == "cleared 2\n")
            #expect(missing.errors.hasPrefix("shunt: no answer from 10.0.0.3:4091 (connection.lost)"))
            #expect(try await run(["retained"] + master.file).exitCode == 65)
        }
    }

    @Test(
        "Wrong arguments are refused before anybody is asked",
        arguments: [
            ["--clear"], ["a/#/b"], ["", "--clear"], ["--limit", "0"], ["--limit", "501"], ["--after", "x"], ["a", "--clear", "--after", "w x"],
        ])
    func wrong(arguments: [String]) {
        #expect(throws: (any Error).self) { try AdminCommand.parseAsRoot(["retained"] + arguments) }
    }
}
