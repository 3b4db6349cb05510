import ShuntCore
import Testing

@testable import ShuntMaster

@Suite("What the event of a command tells") struct CommandOutcomeTests {
    private static let wrong = ShuntError(.ruleMissing, "there is none before")

    private static func answers(_ refused: Int, of count: Int, missing: Int = 0) -> Result<WorkerAnswers, ShuntError> {
        .success(
            WorkerAnswers(
                answers: (0..<count).map { .init(worker: "w\($0)", result: $0 < refused ? .failure(wrong) : .success([])) },
                missing: (0..<missing).map { "m\($0)" }))
    }

    @Test("All have done it, some, or none")
    func outcomes() {
        let all = CommandOutcome(Self.answers(0, of: 3))
        #expect(all.refusal == nil && all.part.isEmpty)
        let some = CommandOutcome(Self.answers(1, of: 3))
        #expect(some.refusal == nil && some.part == ": 1 of 3 have refused, rule.missing")
        #expect(CommandOutcome(Self.answers(3, of: 3)).refusal == Self.wrong)
        #expect(CommandOutcome(Self.answers(0, of: 2, missing: 1)).part == ": 1 of 3 have not answered")
        #expect(CommandOutcome(.failure(Self.wrong)).refusal == Self.wrong)
    }

    @Test("The master's process is one of those that are to do it")
    func own() {
        #expect(CommandOutcome(Self.answers(2, of: 2), beside: .some(nil)).part == ": 2 of 3 have refused, rule.missing")
        #expect(CommandOutcome(Self.answers(2, of: 2), beside: Self.wrong).refusal == Self.wrong)
        #expect(CommandOutcome(.failure(ShuntError(.workerNone, "no worker")), beside: .some(nil)).refusal == nil)
    }
}
