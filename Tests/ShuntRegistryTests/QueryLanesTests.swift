import Dispatch
import Glibc
import ShuntCore
import Synchronization
import Testing

@testable import ShuntRegistry

@Suite("Operators' queries take turns") struct QueryLanesTests {
    private static let answer = QueryResult(columns: ["a"], rows: [], truncated: false)

    /// A query that takes no notice of anything until it is let go.
    private final class Deaf: Sendable {
        private let gate = DispatchSemaphore(value: 0)
        let reason = Mutex<QueryInterrupt.Reason?>(nil)

        func work(_ interrupt: QueryInterrupt) -> QueryLanes.Outcome {
            gate.wait()
            // Another timer, of the same time, may have come first.
            for _ in 0..<10_000 where interrupt.reason == .none { usleep(1_000) }
            reason.withLock { $0 = interrupt.reason }
            return .success(answer)
        }

        func letGo() { gate.signal() }
    }

    @Test("A query inside a step that looks at nothing is answered in time, and the next one runs beside it")
    func abandoned() async throws {
        let lanes = QueryLanes(.init(time: .milliseconds(50), grace: .milliseconds(50), atOnce: 1))
        let deaf = Deaf()
        #expect(await failure { () throws(ShuntError) in _ = try await lanes.run(deaf.work) }?.code == .queryLimit)
        // On a busy machine even this may be late.
        while await failure({ () throws(ShuntError) in _ = try await lanes.run { _ in .success(Self.answer) } }) != nil {}
        deaf.letGo()
    }

    @Test("While too many threads run on, queries are refused; when they have ended, the next ones run")
    func tooMany() async throws {
        let lanes = QueryLanes(.init(time: .milliseconds(50), grace: .milliseconds(10), atOnce: 1, abandoned: 0))
        let deaf = Deaf()
        #expect(await failure { () throws(ShuntError) in _ = try await lanes.run(deaf.work) }?.code == .queryLimit)
        let refused = await failure { () throws(ShuntError) in _ = try await lanes.run { _ in .success(Self.answer) } }
        #expect(refused?.code == .registryUnavailable)
        deaf.letGo()
        while await failure({ () throws(ShuntError) in _ = try await lanes.run { _ in .success(Self.answer) } }) != nil {}
    }

    @Test("Queries beyond those that may wait are refused, and those that wait longer than a query may run")
    func waiting() async throws {
        let lanes = QueryLanes(.init(time: .milliseconds(100), grace: .seconds(60), atOnce: 1, waiting: 3))
        let deaf = Deaf()
        await withTaskGroup(of: ErrorCode?.self) { group in
            for _ in 0..<10 { group.addTask { await failure { () throws(ShuntError) in _ = try await lanes.run(deaf.work) }?.code } }
            var refused = 0
            for await code in group {
                guard code != nil else { continue }
                #expect(code == .registryUnavailable)
                refused += 1
                // All but the one that runs.
                if refused == 9 { deaf.letGo() }
            }
            #expect(refused == 9)
        }
        #expect(deaf.reason.withLock { $0 } == .late)
    }

    @Test(
        "The number of a printf's widths is looked at as SQLite reads it",
        arguments: [
            ("", true), ("100%", true), ("%5.2f %% %1000d", true), ("%1001d", false), ("%*d", false), ("a * b 99999 %d * 99999", true),
            ("%-+5.1001d", false), ("%ll*d", false), ("%00000999d", true), ("%%%9999d", false), ("%99999999999999999999999999999999d", false),
        ])
    func formats(_ format: String, _ isBounded: Bool) {
        #expect(GuardedFunctions.isBounded(format.utf8) == isBounded)
    }
}
