public import ArgumentParser

/// `shunt admin`: asks the master, or its registry's file.
public struct AdminCommand: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "admin",
        abstract: "Ask what the master knows: workers, clients, devices, chats, events, or anything by SQL; and what workers retain.",
        discussion: """
            Asks the master's admin API; with --registry, reads the registry's file instead, whether a master runs or not. \
            Only kick, drain, undrain, balance --apply, step-down, serve, reload, log LEVEL, close-chat, ban, unban, rules reload, \
            rules rollback, retained --clear and registry vacuum change anything there. passwd asks nobody: it edits a file.

              shunt admin status                     the cluster at a glance; also top
              shunt admin audit                      what looks wrong
              shunt admin workers                    every worker, one line each
              shunt admin workers --state lost
              shunt admin history edge-1 --since 1h --plot   a worker's figures over time
              shunt admin worker 10.0.0.1:4091       all that is known of one
              shunt admin clients --uid meter-7      who is connected; also client, kick
              shunt admin topics --top               what carries most now
              shunt admin drain edge-1 --wait        send its clients away; also balance
              shunt admin devices --tag vip --online
              shunt admin device alice               every session of a uid
              shunt admin chats                      which worker has which chat
              shunt admin close-chat room-1
              shunt admin retained 'sensors/#'       what MQTT retains; --clear forgets it
              shunt admin ban uid:mallory --for 1h   keep somebody out; also bans, unban
              shunt admin step-down                  another master is to serve
              shunt admin refused                    whom workers have refused, and why
              shunt admin rules                      which rules run; also reload, rollback
              shunt admin explain --topic orders/7   what would become of a message
              shunt admin trace --topic 'orders/#'   follow live messages; also record
              shunt admin events --follow            what happens, as it happens
              shunt admin query "SELECT name, requests FROM workers"
              shunt admin reload                     also config, log: settings, log levels
              shunt admin registry check             the master's file; also backup, vacuum
              shunt admin passwd passwords alice     set the password of a client
              shunt admin workers --output csv > workers.csv

            Exit codes: 0 well, 64 usage, 65 what was asked for is wrong or not there, 69 the master or the file cannot be \
            reached, 74 the output cannot be written, 77 not allowed, 78 the file is not a registry.
            """,
        subcommands: [
            StatusCommand.self, TopCommand.self, AuditCommand.self, WorkersCommand.self, WorkerCommand.self, HistoryCommand.self,
            ClientsCommand.self, ClientCommand.self, KickCommand.self, DrainCommand.self, UndrainCommand.self, BalanceCommand.self,
            SubscriptionsCommand.self, GroupsCommand.self, TopicsCommand.self, DevicesCommand.self, DeviceCommand.self, ChatsCommand.self,
            ChatCommand.self, CloseChatCommand.self, StepDownCommand.self, ServeCommand.self,
            RetainedCommand.self, BanCommand.self, UnbanCommand.self, BansCommand.self, RefusedCommand.self,
            RulesCommand.self, RuleCommand.self, ExplainCommand.self, TraceCommand.self, RecordCommand.self, EventsCommand.self,
            QueryCommand.self, RegistryCommand.self, ReloadCommand.self, ConfigCommand.self, LogCommand.self, PasswdCommand.self,
        ])

    public init() {}
}
