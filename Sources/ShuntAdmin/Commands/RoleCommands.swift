import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin step-down`: another master is to serve.
struct StepDownCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "step-down",
        abstract: "Have the master that serves make way for another.",
        discussion: """
            For a cluster of several masters (master.peers). Workers go to the other within seconds; chats that are open go on meanwhile. Of
            several masters, with commas between them, the one that serves is asked.

              shunt admin step-down --master 10.0.0.1
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) { try await session.change("step-down") }
}

/// `shunt admin serve`: this master is to serve, whether or not enough workers let it.
struct ServeCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Have a standby master serve, though half of the workers are away.",
        discussion: """
            A standby master serves by itself once more than half of the workers are at it. After a disaster that leaves fewer, this command has
            it serve. Be sure that no other master serves that this one does not hear: a chat could be opened twice.

              shunt admin serve --master 10.0.0.2
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) { try await session.change("serve") }
}

extension AdminSession {
    fileprivate func change(_ change: String) async throws(ShuntError) {
        let (role, json) = try await ask(.changeRole(change), as: MasterRoleRecord.self)
        switch output {
        case .json: try write(json: json)
        case .csv:
            var csv = CSV(header: ["address", "role", "term"])
            csv.append([role.address, role.role, "\(role.term)"])
            try write(csv)
        case .table: try console.write("\(Text.printable(role.address)) is \(role.role), term \(role.term)\n")
        }
    }
}
