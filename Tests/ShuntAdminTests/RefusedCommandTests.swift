import Testing

@testable import ShuntAdmin

@Suite("shunt admin refused")
struct RefusedCommandTests {
    @Test("A table, CSV and JSON; what is not shown, and who has not answered, is said")
    func lists() async throws {
        try await withMaster { master in
            let table = try await run(["refused"] + master.api)
            #expect(table.output.contains("ADDRESS") && table.output.contains("10.9.0.1") && table.output.contains("password"))
            #expect(table.errors == "the latest 1 of 2; more with --limit, or by --address and --user\n")
            let csv = try await run(["refused", "--address", "10.0.0.0/8", "--user", "a&b", "--output", "csv"] + master.api)
            let header = "address,user,reason,listener,worker,count,first_at,last_at\r\n"
            #expect(csv.output == header + "10.9.0.1,a&b,password,mqtt,10.0.0.1:4091,3,400.0,940.0\r\n")
            #expect(csv.errors.hasSuffix("no answer from 10.0.0.3:4091: whom it has refused is not listed\n"))
            let json = try await run(["refused", "--limit", "1", "-o", "json"] + master.api)
            #expect(json.output.contains(#""first_at":400,"last_at":940,"listener":"mqtt","reason":"password","user":"ann""#))
            #expect(try await run(["refused"] + master.file).exitCode == 65)
        }
    }

    @Test("Wrong arguments are usage errors", arguments: [["--limit", "0"], ["--limit", "501"], ["--address", "nowhere"]])
    func usage(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try AdminCommand.parseAsRoot(["refused"] + arguments) }
    }
}
