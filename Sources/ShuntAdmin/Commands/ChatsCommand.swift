import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin chats`: the list of chats.
struct ChatsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "chats",
        abstract: "List the chats, and which worker has them.",
        discussion: """
              shunt admin chats
              shunt admin chats --worker 10.0.0.1:4091
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var page: PageOptions

    @Option(help: "Only chats of this worker: its host:port or its worker.name, of which the beginning is enough.")
    var worker: String?

    func report(_ session: AdminSession) async throws(ShuntError) {
        var query = ChatQuery(worker: worker, limit: page.limit, offset: page.offset)
        var (found, json) = try await session.ask(.chats(query), as: ChatPage.self)
        if found.total == 0, let worker {
            query.worker = try await session.worker(worker)
            if query.worker != worker { (found, json) = try await session.ask(.chats(query), as: ChatPage.self) }
        }
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(ChatListing.csv(found.chats))
        case .table:
            try session.write(ChatListing.table(await session.named(found.chats, \.worker), now: session.console.now()))
            if found.chats.count < found.total {
                session.note("\(found.chats.count) of \(found.total) chats; the others with --limit and --offset")
            }
        }
    }
}
