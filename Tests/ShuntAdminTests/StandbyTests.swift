import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite("Asking a master that stands by for another")
struct StandbyTests {
    private static func role(_ serving: String?) -> MasterRoleRecord {
        MasterRoleRecord(
            role: "standby", address: "10.0.0.1:4088", term: 7, since: 0, serving: serving, heard: 2,
            masters: [.init(address: "10.0.0.2:4088", role: serving == nil ? "standby" : "serving", term: 7)])
    }

    @Test("Its lists are shown, with a word about who serves, once", arguments: [["workers"], ["clients"], ["devices"], ["chats"], ["events"]])
    func lists(_ command: [String]) async throws {
        try await withMaster(role: Self.role("10.0.0.2:4088")) { master async throws in
            let done = try await run(command + master.api)
            #expect(done.exitCode == 0 && !done.output.isEmpty)
            #expect(done.errors.contains("this master is standby and 10.0.0.2:4088 serves"))
            #expect(done.errors.ranges(of: "this master is standby").count == 1)
        }
    }

    @Test("Its status tells role, term, who serves and the others, and does not ask workers")
    func status() async throws {
        for (serving, words) in [("10.0.0.2:4088" as String?, "10.0.0.2:4088 serves"), (nil, "none serves")] {
            try await withMaster(role: Self.role(serving)) { master async throws in
                let done = try await run(["status"] + master.api)
                #expect(done.exitCode == 0 && done.errors.isEmpty)
                #expect(done.output.contains("standby in term 7") && done.output.contains(words))
                #expect(done.output.contains("10.0.0.2:4088 \(serving == nil ? "standby" : "serving")"))
                #expect(!done.output.contains("lost"))
            }
        }
    }

    @Test("A master that serves, or has no peers, has nothing to say beside its lists")
    func serves() async throws {
        try await withMaster { master async throws in #expect(try await run(["workers"] + master.api).errors.isEmpty) }
    }

    @Test("The program waits as long as the master may for workers that test their rules")
    func patience() {
        for request in [AdminRequest.reload(worker: nil), .deployRules(.reload, worker: nil), .deployRules(.rollback, worker: "a:1")] {
            #expect(request.patience > 60)
        }
        #expect(AdminRequest.status.patience == 15)
    }
}
