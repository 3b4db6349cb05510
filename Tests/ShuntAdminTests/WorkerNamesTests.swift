import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite("What people call workers") struct WorkerNamesTests {
    private static func worker(_ address: String, _ name: String, _ state: WorkerRecord.State = .live) -> WorkerRecord {
        var worker = WorkerRecord(
            name: address, host: "h", port: 1, state: state, version: "shunt 0.1.0", startedAt: 0, heartbeatAt: 0)
        worker.configuredName = name
        return worker
    }

    @Test("Its own name, where no other worker that is here has it; else its address")
    func names() {
        let names = WorkerNames([
            Self.worker("h:1", "east"), Self.worker("h:2", ""), Self.worker("h:3", "same"), Self.worker("h:4", "same"),
            Self.worker("h:5", "west", .lost), Self.worker("h:6", "west"), Self.worker("h:7", "gone", .left),
            Self.worker("h:8", "twice", .lost), Self.worker("h:9", "twice", .left),
        ])
        #expect((1...9).map { names["h:\($0)"] } == ["east", "h:2", "h:3", "h:4", "h:5", "west", "gone", "h:8", "h:9"])
        #expect(names["no worker"] == "no worker")
    }
}
