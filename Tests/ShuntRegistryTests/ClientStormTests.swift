import FoundationEssentials
import ShuntCore
import Testing

@testable import ShuntRegistry

/// Very many clients at once. What it takes is printed; how long it may take is for a benchmark to say.
@Suite struct ClientStormTests {
    /// `CLIENTS=1000000` for the number that a master is made for.
    private static let count = ProcessInfo.processInfo.environment["CLIENTS"].flatMap { Int($0) } ?? 50_000

    private func change(_ number: Int, generation: Int, list: Int64) -> RegistryChange {
        .client(
            .client(
                ClientRecord(
                    worker: "10.0.0.\(number % 4):4091", session: "\(number % 2)-\(number)-\(generation)",
                    client: "meter-\(number &* 7919 % 1_000_003)",
                    uid: "user-\(number % 1000)", protocolName: "mqtt 5.0", listener: "mqtts", address: "10.9.0.1:\(number % 60_000)",
                    since: Double(generation), subscriptions: 2), list: list))
    }

    @Test("All clients reach the file while 10,000 a second change, each once; workers that listed anew have no rows of before")
    func storm() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), logger: quiet)
        let writer = registry.writer
        let clock = ContinuousClock()
        let start = clock.now
        var next = 0
        while next < Self.count {
            guard writer.hasRoomForClients else {
                try await Task.sleep(for: .milliseconds(1))
                continue
            }
            let end = min(next + 200, Self.count)
            writer.submit((next..<end).map { change($0, generation: 1, list: 1) })
            next = end
        }
        try await writer.flush()
        let listed = clock.now - start
        #expect(try await registry.reader.clients(.init(limit: 1)).total == Self.count)

        // A client that comes again is another session: one that is gone, and one that is there.
        let changes = 20_000
        let changed = clock.now
        for batch in 0..<(changes / 200) {
            writer.submit(
                (0..<100).flatMap { place in
                    let number = (batch * 100 + place) &* 104_729 % Self.count
                    let gone = RegistryChange.client(.gone(worker: "10.0.0.\(number % 4):4091", session: "\(number % 2)-\(number)-1"))
                    return [gone, change(number, generation: 2, list: 1)]
                })
        }
        try await writer.flush()
        let written = clock.now - changed
        #expect(try await registry.reader.clients(.init(limit: 1)).total == Self.count)
        let read = clock.now
        let one = try await registry.reader.clients(.init(uid: "user-7", limit: 1))
        let reading = clock.now - read
        #expect(one.clients.count == 1)

        let swept = clock.now
        writer.submit((0..<4).map { .client(.listed(worker: "10.0.0.\($0):4091", list: 2)) })
        try await writer.flush()
        #expect(try await registry.reader.clients(.init(limit: 1)).total == 0)
        #expect(writer.figures.droppedClients == 0)
        print(
            "\(Self.count) clients listed in \(listed); \(changes) changes among them written in \(written); one uid read in \(reading); "
                + "all removed in \(clock.now - swept)")
        try await registry.close()
    }
}
