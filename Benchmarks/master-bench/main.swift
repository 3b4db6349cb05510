import ExchangeCodec
import Glibc
import ShuntCore
import ShuntEngine

// What allocation costs a master: microseconds for an answer, a list, a heartbeat and a tick with 2,000 workers, and the share of one
// processor that 20,000 answers a second take beside the heartbeats. From frame to frame, without sockets.
// `master-bench [WORKERS]`

func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

final class Bench {
    let engine = MasterEngine(liveFor: 20, frameLimit: 1 << 20)
    let workers: Int
    var now = 1000.0
    private var connections: [Int]

    init(workers: Int) {
        self.workers = workers
        connections = Array(repeating: 100, count: workers)
        for worker in 0..<workers { engine.opened(Self.worker(worker), source: "127.0.0.1") }
        for client in 0..<1000 { engine.opened(Self.client(client), source: "127.0.0.1") }
        for worker in 0..<workers { beat(worker) }
    }

    private static func worker(_ number: Int) -> ConnectionID { ConnectionID(loop: 0, slot: UInt32(number), generation: 0) }
    private static func client(_ number: Int) -> ConnectionID { ConnectionID(loop: 0, slot: UInt32(100_000 + number), generation: 0) }

    func beat(_ worker: Int) {
        var body = HeartbeatBody(
            serverName: "10.0.\(worker / 256).\(worker % 256)", serverPort: 4091, createdTime: Int64(now * 1000),
            shunt: ShuntExtension(version: "bench", boot: "1", listeners: ["exchange": "0.0.0.0:4091", "mqtt": "0.0.0.0:1883"], interval: 3000))
        body.figures.connections = connections[worker]
        body.figures.requests = Int(now) + worker % 7
        send(Frame.heartbeat(id: 1, body).encoded(), Self.worker(worker))
    }

    func ask(_ client: Int, _ request: [UInt8]) { send(request, Self.client(client % 1000)) }

    private func send(_ frame: [UInt8], _ connection: ConnectionID) {
        _ = frame.withUnsafeBytes { engine.received($0, on: connection, now: now) }
        engine.clear()
    }

    /// Microseconds of the processor for each.
    func measure(_ what: String, _ count: Int, _ body: (Int) -> Void) {
        let begin = seconds()
        for number in 0..<count { body(number) }
        let each = (seconds() - begin) / Double(count) * 1e6
        print("\(what): \((each * 100).rounded() / 100) µs")
    }
}

let bench = Bench(workers: CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 2000)
let one = Frame.allocation(id: 2, .one).encoded()
let all = Frame.allocation(id: 2, .all).encoded()
print("\(bench.workers) workers")
bench.measure("an answer that names one worker", 100_000) { bench.ask($0, one) }
bench.measure("an answer that lists all", 5000) { bench.ask($0, all) }
bench.measure("a heartbeat", 20_000) { bench.beat($0 % bench.workers) }
bench.measure("a tick", 100) { _ in
    bench.now += 0.01
    bench.engine.tick(now: bench.now)
}

/// Six seconds as they would be: each tenth of one has 2,000 questions, a thirtieth of the heartbeats, and a tick.
@MainActor func share(_ request: [UInt8], _ questions: Int) -> Double {
    let begin = seconds()
    for step in 0..<60 {
        bench.now += 0.1
        for question in 0..<questions / 10 { bench.ask(question, request) }
        for worker in stride(from: step % 30, to: bench.workers, by: 30) { bench.beat(worker) }
        bench.engine.tick(now: bench.now)
    }
    return ((seconds() - begin) / 6 * 1000).rounded() / 10
}

print("20,000 answers a second that name one, beside the heartbeats: \(share(one, 20_000)) % of a processor")
print("1,000 lists a second, beside the heartbeats: \(share(all, 1000)) % of a processor")
