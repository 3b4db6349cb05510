import ShuntCore
import ShuntMaster
import Testing

@Suite("Rules by the admin API")
struct RuleRoutesTests {
    /// What four workers say: well, in another way than JSON's, with a refusal, and nothing.
    static let answers: AdminServer.CommandWorkers = { command in
        guard command.worker == nil else { return .failure(ShuntError(.workerUnknown, "no worker \(command.worker ?? "")")) }
        let well = #"{"version":2,"anew":["a"],"gone":[],"deployed_at":5,"can_roll_back":true,"rules":[]}"#
        let refusal = ShuntError(.ruleInvalid, "a test \"fails\"", at: "rule_test.lua:3")
        return .success(
            WorkerAnswers(
                answers: [
                    .init(worker: "a:1", result: .success(Array(well.utf8))), .init(worker: "b:1", result: .success(Array("{version:'2'}".utf8))),
                    .init(worker: "c:1", result: .failure(refusal)),
                ], missing: ["d:1"]))
    }

    private static let unreadable =
        #"{"error":{"code":"request.unsupported","message":"the worker's answer cannot be read: it has another version of Shunt"},"worker":"b:1"}"#
    private static let refused = #"{"error":{"code":"rule.invalid","location":"rule_test.lua:3","message":"a test \"fails\""},"worker":"c:1"}"#

    @Test("Each worker's answer is the record that was asked for, or an error; those that are missing are named")
    func lists() async throws {
        try await serving { fixture async throws in
            let listed = try await fixture.get("/api/v1/rules")
            #expect(listed.status == 200)
            #expect(
                listed.body
                    == #"{"missing":["d:1"],"workers":[{"answer":{"can_roll_back":true,"deployed_at":5,"rules":[],"version":2},"worker":"a:1"},"#
                    + Self.unreadable + "," + Self.refused + "]}")
            let unknown = try await fixture.get("/api/v1/rules?worker=x")
            #expect(unknown.status == 404 && unknown.body.contains("worker.unknown"))
        }
    }

    @Test("A deployment answers with what each worker has done")
    func deploys() async throws {
        try await serving { fixture async throws in
            for name in ["reload", "rollback"] {
                let answer = try await fixture.send("POST", "/api/v1/rules/\(name)")
                #expect(answer.status == 200)
                #expect(
                    answer.body == #"{"missing":["d:1"],"workers":[{"answer":{"anew":["a"],"gone":[],"version":2},"worker":"a:1"},"#
                        + Self.unreadable + "," + Self.refused + "]}")
            }
        }
    }
}
