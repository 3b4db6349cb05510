import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin close-chat`: ends a chat at its worker.
struct CloseChatCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "close-chat",
        abstract: "Have a chat closed by its worker.",
        discussion: """
            The members are told. Only a running master can do this: not with --registry.

              shunt admin close-chat room-1
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The chat's id, the whole of it.")
    var id: String

    func validate() throws {
        guard !id.isEmpty else { throw ValidationError("The id is empty: give one that `shunt admin chats` lists.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (chat, json) = try await session.ask(.closeChat(id), as: ClosedChat.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["closed"])
            csv.append([chat.closed])
            try session.write(csv)
        case .table: try session.console.write("closed \(Text.printable(chat.closed))\n")
        }
    }
}
