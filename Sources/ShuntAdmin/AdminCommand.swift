public import ArgumentParser

/// `shunt admin`: asks the master, or its registry's file.
public struct AdminCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Ask what the master knows: workers, events, or anything by SQL.",
        discussion: """
            Asks the master's admin API; with --registry, reads the registry's file instead, whether a master runs or not. \
            Nothing is ever changed.

              shunt admin workers                    every worker, one line each
              shunt admin workers --state lost
              shunt admin worker 10.0.0.1:4091       all that is known of one
              shunt admin events --follow            what happens, as it happens
              shunt admin query "SELECT name, requests FROM workers"
              shunt admin workers --output csv > workers.csv

            Exit codes: 0 well, 64 usage, 65 what was asked for is wrong or not there, 69 the master or the file cannot be \
            reached, 77 not allowed, 78 the file is not a registry.
            """,
        subcommands: [WorkersCommand.self, WorkerCommand.self, EventsCommand.self, QueryCommand.self])

    public init() {}
}
