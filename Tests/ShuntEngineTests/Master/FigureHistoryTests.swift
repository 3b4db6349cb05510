import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The history of figures")
struct FigureHistoryTests {
    /// A history, and what the registry has of it.
    private struct Script {
        var history = FigureHistory()
        private(set) var written: [HistoryPoint] = []

        init(_ length: HistoryLength = .month) { history.steps = length.steps }

        mutating func keep(_ points: [HistoryPoint]) { written += points }

        /// Heartbeats of one worker every three seconds, which gains so much a second between them.
        mutating func run(_ worker: String, from: Double, to: Double, each: Int = 10, total: inout Int, connections: Int = 4) {
            for time in stride(from: from, through: to, by: 3) {
                keep(history.heartbeat(FigureHistoryTests.record(worker, requests: total, connections: connections), now: time))
                total += 3 * each
            }
        }

        func points(_ worker: String?, _ step: HistoryStep) -> [HistoryPoint] {
            written.filter { $0.worker == worker && $0.step == step }
        }
    }

    fileprivate static func record(
        _ name: String, requests: Int = 0, connections: Int = 0, stuck: Int = 0, startedAt: Double = 1
    ) -> WorkerRecord {
        WorkerRecord(
            name: name, host: name, port: 1, state: .live, startedAt: startedAt, heartbeatAt: 0,
            figures: WorkerFigures(connections: connections, requests: requests, stuckConsumers: stuck))
    }

    @Test("Every figure of a worker is a counter, a gauge or a peak, and none is two of these; all fit the lanes")
    func allFigures() {
        let all = WorkerFigures.counters + WorkerFigures.gauges + WorkerFigures.peaks
        #expect(Set(all.map { $0 as WritableKeyPath<WorkerFigures, Int> }).count == all.count)
        #expect(WorkerFigures.counters.count <= 16 && WorkerFigures.gauges.count + WorkerFigures.peaks.count <= 16)
        var figures = WorkerFigures()
        for (number, figure) in all.enumerated() { figures[keyPath: figure] = number + 1 }
        #expect(FigureLanes(figures).figures == figures)
        figures.requests = -5
        figures.deliveries = .max
        #expect(FigureLanes(figures).figures.requests == 0)
        #expect(FigureLanes(figures).figures.deliveries == 1 << 53)
    }

    @Test("A counter's growth over the seconds between heartbeats is the rate, whatever part of a step these are; a gauge's mean stays")
    func rates() throws {
        var script = Script()
        var total = 1_000_000
        script.run("a:1", from: 10_000, to: 10_061, each: 10, total: &total)
        let tens = script.points("a:1", .tenSeconds)
        #expect(tens.map(\.at) == [10_000, 10_010, 10_020, 10_030, 10_040, 10_050])
        // The first heartbeat tells no growth.
        #expect(tens.map(\.seconds) == [9, 9, 9, 12, 9, 9])
        #expect(tens.map(\.heartbeats) == [4, 3, 3, 4, 3, 3])
        #expect(tens.allSatisfy { Double($0.figures.requests) == $0.seconds * 10 && $0.figures.connections == 4 })
        let minute = try #require(script.points("a:1", .minute).first)
        #expect(minute.at == 9_960 && minute.seconds == 18 && minute.figures.requests == 180)
        #expect(script.points(nil, .tenSeconds).map(\.figures.requests) == tens.map(\.figures.requests))
        #expect(script.points(nil, .tenSeconds).allSatisfy { $0.workers == 1 })
    }

    @Test("The sum has every worker's rate and mean, however often each was heard")
    func sums() throws {
        var script = Script(.hour)
        for time in stride(from: 0.0, through: 31, by: 1) {
            if Int(time) % 2 == 0 {
                script.keep(script.history.heartbeat(Self.record("a:1", requests: Int(time) * 100, connections: 7), now: 50_000 + time))
            }
            if Int(time) % 5 == 0 {
                script.keep(script.history.heartbeat(Self.record("b:1", requests: Int(time) * 3, connections: 5, stuck: 2), now: 50_000 + time))
            }
        }
        let middle = try #require(script.points(nil, .tenSeconds).first { $0.at == 50_010 })
        #expect(middle.workers == 2 && middle.figures.connections == 12 && middle.figures.stuckConsumers == 2)
        #expect(middle.heartbeats == 7 && middle.seconds == 10)
        #expect(middle.figures.requests == 1_030)
    }

    @Test("A worker that has begun anew, or was away, is a gap and no jump")
    func gaps() {
        var script = Script(.hour)
        var total = 500
        script.run("a:1", from: 20_000, to: 20_010, total: &total)
        // Begun anew, as its start says, then as only its counters say.
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 900_000, startedAt: 2), now: 20_012))
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 5, startedAt: 2), now: 20_015))
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 35, startedAt: 2), now: 20_018))
        // Away for longer than heartbeats may be apart.
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 900_000, startedAt: 2), now: 20_100))
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 900_030, startedAt: 2), now: 20_103))
        script.keep(script.history.flush())
        #expect(
            script.points("a:1", .tenSeconds).map { [$0.at, $0.figures.requests, Int($0.seconds)] } == [
                [20_000, 90, 9], [20_010, 30, 3], [20_100, 30, 3],
            ])
    }

    @Test("A lost worker's steps are written as they stand; one that is back in the same step goes on with it")
    func lost() {
        var script = Script(.hour)
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 0, connections: 4), now: 30_000))
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 20, connections: 4), now: 30_002))
        script.keep(script.history.lost("a:1"))
        #expect(script.points("a:1", .tenSeconds).map(\.heartbeats) == [2])
        // Told twice, and of one that nobody knows: nothing more.
        #expect(script.history.lost("a:1") == [] && script.history.lost("z:1") == [])
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 900, connections: 8), now: 30_004))
        script.keep(script.history.heartbeat(Self.record("a:1", requests: 910, connections: 8), now: 30_005))
        script.keep(script.history.flush())
        let last = script.points("a:1", .tenSeconds).last
        #expect(last?.heartbeats == 4 && last?.figures.requests == 30 && last?.seconds == 3 && last?.figures.connections == 6)
        #expect(script.points(nil, .tenSeconds).map(\.workers) == [1])
    }

    @Test("The hour that is not over is written with each minute, and a master that starts goes on from it")
    func restarts() throws {
        var script = Script()
        var total = 0
        script.run("a:1", from: 36_000, to: 36_130, total: &total)
        let hour = try #require(script.points("a:1", .hour).last)
        #expect(hour.at == 36_000 && hour.seconds > 100)
        #expect(script.points(nil, .hour).last?.figures.requests == hour.figures.requests)

        // Killed; what the registry has is the newest of each.
        var newest: [String: HistoryPoint] = [:]
        for point in script.written where point.worker != nil { newest["\(point.step) \(point.at)"] = point }
        var next = Script()
        next.history.restore(Array(newest.values), now: 36_140)
        next.run("a:1", from: 36_141, to: 36_190, total: &total)
        next.keep(next.history.flush())
        let after = try #require(next.points("a:1", .hour).last)
        #expect(after.at == 36_000 && after.heartbeats == hour.heartbeats + 17 && after.seconds == hour.seconds + 48)
        #expect(Double(after.figures.requests) == after.seconds * 10)
        #expect(next.points(nil, .hour).last?.heartbeats == after.heartbeats)
        #expect(after.figures.connections == 4)
    }

    @Test("A clock that is corrected a little counts on in its step; one that is set back far begins an earlier one, with nothing carried over")
    func clock() {
        var script = Script(.hour)
        var total = 0
        script.run("a:1", from: 40_000, to: 40_009, total: &total)
        for time in [40_011.0, 39_990, 39_993, 40_012] {
            script.keep(script.history.heartbeat(Self.record("a:1", requests: total), now: time))
            total += 30
        }
        script.keep(script.history.heartbeat(Self.record("a:1", requests: total), now: 1_000))
        script.keep(script.history.flush())
        #expect(script.points("a:1", .tenSeconds).map(\.at) == [40_000, 40_010, 1_000])
        #expect(script.points("a:1", .tenSeconds).map(\.seconds) == [9, 3, 0])
    }

    @Test("Without a length there is no history; of a shorter one the coarse steps are left out")
    func lengths() {
        for length in HistoryLength.allCases {
            var script = Script(length)
            var total = 0
            script.run("a:1", from: 3_600, to: 7_300, total: &total)
            script.keep(script.history.tick(now: 7_400) + script.history.flush())
            #expect(Set(script.written.map(\.step)) == Set(length.steps))
        }
    }

    @Test("Time alone ends the sum's steps; nothing is written twice")
    func ticks() {
        var script = Script(.hour)
        script.keep(script.history.heartbeat(Self.record("a:1"), now: 60_001))
        #expect(script.history.tick(now: 60_009) == [])
        script.keep(script.history.tick(now: 60_010))
        #expect(script.points(nil, .tenSeconds).map(\.at) == [60_000])
        #expect(script.history.tick(now: 60_020) == [])
        script.keep(script.history.flush())
        #expect(script.history.flush() == [])
        #expect(script.written.count == 2)
    }

    @Test("No more workers are kept than a master knows: the one goes that was heard longest ago")
    func bounded() {
        var script = Script(.hour)
        for number in 0...FigureHistory.capacity {
            _ = script.history.heartbeat(Self.record("w\(number):1", connections: 1), now: 70_000 + Double(number) / 10_000)
        }
        let written = script.history.flush().compactMap(\.worker)
        #expect(written.count == FigureHistory.capacity && !written.contains("w0:1") && written.contains("w1:1"))
    }

    @Test("A master writes history of heartbeats only if it is to, and what it has when it ends")
    func engine() {
        func points(_ steps: [HistoryStep]) -> [HistoryPoint] {
            let script = MasterEngineTests.Script()
            script.engine.historySteps = steps
            var points: [HistoryPoint] = []
            for _ in 0..<12 {
                script.beat("a", on: 1)
                script.now += 3
            }
            script.engine.flushHistory()
            for case .history(let point) in script.engine.changes { points.append(point) }
            return points
        }
        #expect(points([]).isEmpty)
        #expect(points([.tenSeconds, .minute]).map { $0.worker ?? "" }.sorted() == ["", "", "a:1", "a:1"])
    }
}
