import ArgumentParser
import ExchangeCodec
import Glibc
import ShuntBench
import ShuntCore
import Synchronization

/// Devices that all come back at once: a worker tells its master of them, while clients go on asking for workers.
struct Storm: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A reconnect storm at a master: how long allocation takes while it lasts.")
    @Option var host = "127.0.0.1"
    @Option(help: "The master's exchange port.") var port: Int
    @Option var devices = 100_000
    @Flag(help: "The result as a JSON object.") var json = false

    func run() throws {
        let worker = try Socket(host: host, port: port)
        try ask(worker, heartbeat())
        let quiet = try allocations(for: 2_000)
        let isOver = Atomic<Bool>(false)
        let took = Mutex(0.0)
        let frames = batches()
        let storm = LoadThread {
            let start = LoadClock.seconds()
            for frame in frames { try? ask(worker, frame) }
            took.withLock { $0 = LoadClock.seconds() - start }
            isOver.store(true, ordering: .releasing)
        }
        var during: [Double] = []
        while !isOver.load(ordering: .acquiring) { during += try allocations(for: 20) }
        storm.join()
        let seconds = took.withLock { $0 }
        let (before, meanwhile) = (Latencies(quiet), Latencies(during))
        if json {
            print("{\"seconds\":\(seconds),\"quiet\":\(before.json),\"storm\":\(meanwhile.json)}")
        } else {
            print("\(devices) devices in \(seconds) s\nallocation before: \(before.text)\nallocation meanwhile: \(meanwhile.text)")
        }
    }

    /// Seconds that each of so many allocations took, a new connection each, as clients do it.
    private func allocations(for count: Int) throws -> [Double] {
        let request = Frame(.allocation, id: 1, text: "true").encoded()
        return try (0..<count).map { _ in
            let start = LoadClock.seconds()
            let client = try Socket(host: host, port: port)
            try ask(client, request)
            return LoadClock.seconds() - start
        }
    }

    private func heartbeat() -> [UInt8] {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let body = HeartbeatBody(
            serverName: "10.0.0.1", serverPort: 4091, createdTime: Int64(time.tv_sec) * 1000,
            shunt: ShuntExtension(version: "bench", boot: "storm"))
        return Frame(.ping, id: 1, format: .json, value: body.encoded(), name: HeartbeatBody.frameName).encoded()
    }

    private func batches() -> [[UInt8]] {
        let registered = (0..<devices).map { number in
            DeviceBatchBody.Registered(
                uid: "user-\(number)", device: "phone", tags: ["tag-\(number % 100)", "driver"], address: "10.0.0.2:4000",
                connectedAt: 1_700_000_000_000, registeredAt: 1_700_000_000_000_000 + Int64(number))
        }
        let batch = DeviceBatchBody(worker: WorkerSource(host: "10.0.0.1", port: 4091), registered: registered)
        return batch.split().enumerated().map { number, part in
            Frame(.register, id: Int64(number), format: .json, value: part.encoded(), name: DeviceBatchBody.frameName).encoded()
        }
    }

    /// Sends a frame and reads its answer, whatever it says.
    private func ask(_ socket: Socket, _ frame: [UInt8]) throws {
        try socket.write(frame)
        try withUnsafeTemporaryAllocation(byteCount: FrameLayout.headerSize, alignment: 1) { header in
            var got = 0
            while got < header.count {
                let count = socket.read(UnsafeMutableRawBufferPointer(rebasing: header[got...]))
                guard count > 0 else { throw ShuntError(.internalError, "the server closed a connection") }
                got += count
            }
            try socket.skip(Int(UInt32(bigEndian: header.loadUnaligned(fromByteOffset: 13, as: UInt32.self))))
        }
    }
}
