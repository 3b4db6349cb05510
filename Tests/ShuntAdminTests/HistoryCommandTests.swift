import ArgumentParser
import RawHTTP
import ShuntCore
import ShuntJSON
import ShuntRegistry
import Testing

@testable import ShuntAdmin

@Suite("shunt admin history") struct HistoryCommandTests {
    private static let now = 1_000_000.0

    /// A master whose registry has an hour of `10.0.0.1:4091`, with ten minutes in the middle in which nothing was heard.
    private func withHistory(_ body: (Master) async throws -> Void) async throws {
        try await withMaster { master async throws in
            var points: [HistoryPoint] = []
            for at in stride(from: Int(Self.now) - 3_600, to: Int(Self.now), by: 10) where !(1_500..<2_100).contains(Int(Self.now) - at) {
                let number = (at - Int(Self.now) + 3_600) / 10
                let figures = WorkerFigures(
                    connections: number, requests: number * 10, requestBytes: number * 10_240, responses: number, responseMilliseconds: number * 3,
                    heldProducers: number == 100 ? 5 : 0)
                points.append(HistoryPoint(worker: "10.0.0.1:4091", step: .tenSeconds, at: at, heartbeats: 3, seconds: 10, figures: figures))
                points.append(HistoryPoint(worker: nil, step: .tenSeconds, at: at, workers: 2, heartbeats: 6, seconds: 10, figures: figures))
            }
            master.registry.writer.submit(points.map { .history($0) })
            try await master.registry.writer.flush()
            try await body(master)
        }
    }

    @Test(
        "The master and the file give the same, in every format",
        arguments: [
            ["edge-1"], [], ["10.0.0.1", "--since", "20m"], ["edge-1", "--step", "10s"], ["--step", "1h", "--since", "2d"],
            ["edge-1", "--figure", "requests", "--figure", "milliseconds_per_response"],
            ["edge-1", "--since", "1970-01-12T13:00Z", "--until", "10m"],
        ])
    func sameAnswers(_ arguments: [String]) async throws {
        try await withHistory { master async throws in
            for format in OutputFormat.allCases {
                let options = ["history"] + arguments + ["--output", format.rawValue]
                let fromMaster = try await run(options + master.api, now: Self.now)
                #expect(fromMaster.exitCode == 0 && !fromMaster.output.isEmpty, "\(fromMaster)")
                #expect(try await run(options + master.file, now: Self.now) == fromMaster)
            }
            let plot = try await run(["history"] + arguments + ["--plot"] + master.api, now: Self.now)
            #expect(try await run(["history"] + arguments + ["--plot"] + master.file, now: Self.now) == plot)
        }
    }

    @Test("JSON is just what the admin API gives")
    func exactJSON() async throws {
        try await withHistory { master async throws in
            for (arguments, target) in [
                (["edge-1"], "/api/v1/workers/10.0.0.1%3A4091/history?since=996400&until=1000000"),
                (["--figure", "requests", "--step", "1m"], "/api/v1/history?since=996400&until=1000000&step=60&figures=requests"),
            ] {
                let api = try await RawHTTP.get(target, port: master.endpoint.port)
                #expect(api.status == 200)
                #expect(try await run(["history"] + arguments + ["--output", "json"] + master.api, now: Self.now).output == api.body + "\n")
            }
        }
    }

    @Test("A table sums up an hour in lines of a minute, with a dash where nothing is known; the highest of peaks")
    func table() async throws {
        try await withHistory { master async throws in
            let outcome = try await run(["history", "edge-1"] + master.api, now: Self.now)
            let lines = outcome.output.split(separator: "\n").map(String.init)
            #expect(outcome.errors == "each line sums up 1m\n")
            #expect((61...63).contains(lines.count), "\(lines.count)")
            #expect(
                lines[0].split(separator: " ").joined(separator: " ") == "TIME CLIENTS REQUESTS/S DELIVERIES/S FAILED/S IN/S OUT/S ANSWER HELD STUCK")
            #expect(lines.contains { $0.split(separator: " ").dropFirst().allSatisfy { $0 == "-" } })
            #expect(lines.contains { $0.split(separator: " ").dropLast().last == "5" })
            #expect(lines.dropLast().last?.contains(" 3 ms ") == true, "\(lines)")
            let narrow = try await run(["history", "edge-1"] + master.api, width: 40, now: Self.now)
            #expect(narrow.output.split(separator: "\n").allSatisfy { $0.count <= 40 })
        }
    }

    @Test("CSV has a line for each step, empty where nothing is known")
    func csv() async throws {
        try await withHistory { master async throws in
            let arguments = ["history", "--figure", "requests", "--figure", "workers", "--since", "35m", "--until", "34m", "--output", "csv"]
            let outcome = try await run(arguments + master.api, now: Self.now)
            #expect(outcome.output.hasPrefix("at,requests,workers\r\n997900,150,2\r\n997910,,\r\n"), "\(outcome.output)")
        }
    }

    @Test("A chart fits its width, has the highest value at its side, and a gap where nothing is known", arguments: [30, 60, 80, 200, 500])
    func plot(_ width: Int) async throws {
        try await withHistory { master async throws in
            let outcome = try await run(["history", "edge-1", "--plot"] + master.api, width: width, now: Self.now)
            let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.allSatisfy { Text.width(String($0)) <= width }, "\(outcome.output)")
            #expect(outcome.output.contains("requests a second: "))
            #expect(outcome.output.contains("█") && outcome.output.contains("┈") && outcome.output.contains("┈─"))
            #expect(lines.count { $0.contains("└") } == 4)
            let one = try await run(["history", "edge-1", "--plot", "--figure", "stuck_consumers"] + master.api, width: width, now: Self.now)
            #expect(one.output.count { $0 == "└" } == 1 && !one.output.contains("█"))
        }
    }

    @Test("Merged steps begin where clocks do, and means are weighted")
    func merging() throws {
        let json = """
            {"step": 10, "start": 100, "count": 5, "series": {"connections": [4, 8, null, 100, 6], "held_producers": [1, 3, null, 0, 2],
            "responses": [1, 3, null, 0, 2], "milliseconds_per_response": [1, 3, null, null, 2]}}
            """
        var history = try RecordJSON.decode(HistoryDocument.self, from: Array(json.utf8))
        #expect(history.merged(by: 1) == history)
        history = history.merged(by: 3)
        #expect((history.start, history.step, history.count) == (90, 30, 2))
        #expect(history.series["connections"] == [6, 53])
        #expect(history.series[HistoryDocument.time] == [2.5, 2])
        #expect(history.series["held_producers"] == [3, 2])
    }

    @Test("What is wrong with a question is said, with what would be right")
    func mistakes() async throws {
        for (arguments, words) in [
            (["--figure", "speed"], "there is no figure 'speed'"), (["--plot", "--output", "csv"], "--plot and --output exclude"),
            (["--step", "5s"], "10s"), ([""], "The name is empty"),
        ] {
            #expect { try AdminCommand.parseAsRoot(["history"] + arguments) } throws: { error in
                AdminCommand.fullMessage(for: error).contains(words)
            }
        }
        try await withHistory { master async throws in
            let late = try await run(["history", "--since", "1m", "--until", "1h"] + master.api, now: Self.now)
            #expect(late.exitCode == 64 && late.errors.contains("--since is the earlier one"))
            let unknown = try await run(["history", "nope"] + master.api, now: Self.now)
            #expect(unknown.exitCode == 65 && unknown.errors.contains("(worker.unknown)"))
            let empty = try await run(["history", "edge-2"] + master.api, now: Self.now)
            #expect(empty.exitCode == 0 && empty.errors.contains("nothing is known of this time"))
            for (target, word) in [("step=5", "10, 60, 3600"), ("figures=requests,x", "there is no figure"), ("since=-1", "whole number")] {
                let answer = try await RawHTTP.get("/api/v1/history?" + target, port: master.endpoint.port)
                #expect(answer.status == 400 && answer.body.contains(word), "\(answer)")
            }
        }
    }
}
