import Glibc
import Logging
import ShuntConfig
import Testing

@testable import ShuntLog

@Suite("The log", .timeLimit(.minutes(1)))
struct LogSystemTests {
    @Test("each subsystem has its level, and a change reaches loggers that exist")
    func levels() throws {
        let sink = CapturedSink()
        let system = makeSystem(.init(level: .warning, levels: [.link: .debug]), sink: sink.write)
        let (link, rules, other) = (
            system.logger("shunt.link"), system.logger("shunt.rules.orders"), system.logger("Hummingbird")
        )
        func logAll(_ round: Int) {
            for logger in [link, rules, other] {
                logger.trace("\(round) trace")
                logger.debug("\(round) debug")
                logger.warning("\(round) warning")
            }
        }
        logAll(1)
        system.levels.apply(.init(level: .error, levels: [.rules: .trace]))
        logAll(2)
        try #require(system.flush(within: .seconds(30)))
        #expect(
            sink.lines.map { String($0.dropFirst(31)) } == [
                "link: 1 debug", "link: 1 warning", "rules: 1 warning", "Hummingbird: 1 warning", "rules: 2 trace",
                "rules: 2 debug",
                "rules: 2 warning",
            ])
    }

    @Test("a level that is set on one logger is its own")
    func ownLevel() {
        let system = makeSystem { _ in }
        var logger = system.logger("shunt.link")
        logger.logLevel = .trace
        #expect(logger.logLevel == .trace)
        #expect(system.logger("shunt.link").logLevel == .info)
    }

    @Test(
        "labels name their subsystem",
        arguments: [
            ("shunt.worker", Configuration.Log.Subsystem.worker), ("shunt.worker.x.y", .worker), ("shunt.none", nil),
            ("shunt", nil),
            ("other.worker", nil), ("", nil),
        ])
    func labels(label: String, subsystem: Configuration.Log.Subsystem?) {
        #expect(LogLevels.subsystem(ofLabel: label) == subsystem)
    }

    @Test("lines of many threads are whole, each thread's in order")
    func threads() async throws {
        let sink = CapturedSink()
        let system = makeSystem(capacity: .init(lines: 100_000, bytes: 100 << 20), sink: sink.write)
        await withTaskGroup { group in
            for writer in 0..<8 {
                group.addTask {
                    let logger = system.logger("shunt.worker")
                    for number in 0..<500 { logger.info("\(writer) \(number)") }
                }
            }
        }
        try #require(system.flush(within: .seconds(30)))
        let messages = sink.lines.map { $0.split(separator: " ").suffix(2).compactMap { Int($0) } }
        #expect(messages.count == 4000)
        for writer in 0..<8 {
            #expect(messages.filter { $0.first == writer }.map { $0[1] } == Array(0..<500))
        }
    }

    @Test("where nobody reads, lines are dropped instead of waiting, and their number is told later")
    func stalled() throws {
        let sink = StalledSink()
        let system = makeSystem(capacity: .init(lines: 10, bytes: 1 << 20), sink: sink.write)
        let logger = system.logger("shunt.worker")
        logger.info("first")
        sink.waitUntilStalled()
        for number in 1...25 { logger.info("line \(number)") }
        #expect(!system.flush(within: .milliseconds(20)))
        sink.release(3)
        try #require(system.flush(within: .seconds(30)))
        let lines = sink.captured.lines
        #expect(lines.count == 12)
        #expect(lines[0].hasSuffix("first") && lines[1].hasSuffix("line 1") && lines[10].hasSuffix("line 10"))
        #expect(lines[11].hasSuffix("WARN  log: lines were dropped: more than could be written lines=15"))
        sink.release(2)
        logger.info("again")
        try #require(system.flush(within: .seconds(30)))
        #expect(sink.captured.lines.count == 13)
    }

    @Test("what waits is bounded in bytes too")
    func stalledBytes() throws {
        let sink = StalledSink()
        let system = makeSystem(capacity: .init(lines: 1000, bytes: 10_000), sink: sink.write)
        let logger = system.logger("shunt.worker")
        logger.info("first")
        sink.waitUntilStalled()
        for _ in 1...100 { logger.info("\(String(repeating: "x", count: 1000))") }
        sink.release(3)
        try #require(system.flush(within: .seconds(30)))
        #expect((3_000...12_000).contains(sink.captured.text.utf8.count))
    }

    @Test("what was logged before the log is let go is written")
    func end() throws {
        let sink = StalledSink()
        func log() {
            let logger = makeSystem(sink: sink.write).logger("shunt.worker")
            logger.info("first")
            sink.waitUntilStalled()
            logger.info("last")
        }
        log()
        sink.release()
        sink.waitUntilStalled()
        #expect(sink.captured.lines.last?.hasSuffix("last") == true)
        sink.release()
    }

    @Test("a pipe without a reader ends nothing, and one that is full and non-blocking gets all")
    func pipes() throws {
        var ends: [Int32] = [0, 0]
        try #require(pipe(&ends) == 0)
        let closed = FileDescriptor(number: ends[1])
        close(ends[0])
        let toNobody = makeSystem { closed.write($0) }
        toNobody.logger("shunt.worker").info("to nobody")
        #expect(toNobody.flush(within: .seconds(30)))
        close(ends[1])

        try #require(pipe(&ends) == 0)
        for end in ends { try #require(fcntl(end, F_SETFL, O_NONBLOCK) == 0) }
        let slow = FileDescriptor(number: ends[1])
        let system = makeSystem(capacity: .init(lines: 10_000, bytes: 10 << 20)) { slow.write($0) }
        let logger = system.logger("shunt.worker")
        for _ in 0..<1000 { logger.info("\(String(repeating: "x", count: 500))") }
        var received = 0
        var buffer = [UInt8](repeating: 0, count: 4096)
        while received < 1000 * 540 {
            let count = read(ends[0], &buffer, buffer.count)
            if count > 0 {
                received += count
            } else {
                var waiting = pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0)
                try #require(poll(&waiting, 1, 30_000) == 1)
            }
        }
        #expect(system.flush(within: .seconds(30)))
        close(ends[0])
        close(ends[1])
    }

    @Test("the process's log can be asked for twice, and takes on other levels")
    func process() {
        ShuntLog.bootstrap(configuration: .init(level: .error))
        #expect(Logger(label: "shunt.link").logLevel == .error)
        ShuntLog.bootstrap(configuration: .init(level: .critical))
        #expect(Logger(label: "shunt.link").logLevel == .critical)
        ShuntLog.apply(.init(level: .critical, levels: [.link: .debug]))
        #expect(Logger(label: "shunt.link").logLevel == .debug)
        #expect(ShuntLog.flush())
    }
}
