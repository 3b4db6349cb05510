import ArgumentParser
import ShuntCore
import ShuntRegistry

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

    @Option(help: "Only chats of the worker of this name, as `shunt admin workers` lists it.")
    var worker: String?

    func report(_ session: AdminSession) async throws(ShuntError) {
        let query = ChatQuery(worker: worker, limit: page.limit, offset: page.offset)
        let (found, json) = try await session.ask(.chats(query), as: ChatPage.self)
        switch session.output {
        case .json: session.console.write(json + "\n")
        case .csv: session.write(ChatReport.csv(found.chats))
        case .table:
            session.write(ChatReport.table(found.chats, now: session.console.now()))
            if found.chats.count < found.total {
                session.note("\(found.chats.count) of \(found.total) chats; the others with --limit and --offset")
            }
        }
    }
}
