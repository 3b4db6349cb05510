import ArgumentParser
import ShuntCore

/// `shunt admin chat`: one chat in detail.
struct ChatCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Show all that is known of one chat.",
        discussion: """
              shunt admin chat room-1
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The chat's id, the whole of it.")
    var id: String

    func validate() throws {
        guard !id.isEmpty else { throw ValidationError("The id is empty: give one that `shunt admin chats` lists.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (chat, json) = try await session.ask(.chat(id), as: ChatRecord.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(ChatListing.csv([chat]))
        case .table:
            let named = await session.named([chat], \.worker)[0]
            try session.console.write(ChatListing.detail(named, now: session.console.now(), width: session.console.width))
        }
    }
}
