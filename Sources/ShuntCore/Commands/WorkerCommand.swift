/// What an operator has workers do or tell, through their master.
public struct WorkerCommand: Equatable, Sendable {
    public enum Name: String, Sendable, CaseIterable {
        /// The rules that run, their versions and figures.
        case rules
        /// Read the rules' files again.
        case rulesReload = "rules.reload"
        /// Bring the version before back.
        case rulesRollback = "rules.rollback"
        /// What would become of a message.
        case explain
        /// Follow live messages: begin, read what has come, end.
        case traceBegin = "trace.begin"
        case traceRead = "trace.read"
        case traceEnd = "trace.end"
        /// How the worker is at this moment.
        case condition
        /// What is known of a client.
        case client
        /// Close a client's connections.
        case kick
        /// Tell once all loops hold the bans that the master has told, and the clients of these are closed.
        case holdBans = "bans.hold"
        /// End a chat, which an operator wants.
        case closeChat = "chat.close"
        /// The filters, and the groups, with the most subscriptions.
        case subscriptions, groups
        /// The busiest topics.
        case topics
        /// Take no new clients and send the present ones to other workers; take clients again; tell how far that is.
        case drain, undrain
        case drainState = "drain.state"
        /// Give so many clients to other workers.
        case shed
        /// Of the whole process: the settings with which it runs; read the configuration again; the levels of its log.
        case configuration, reload
        case logLevels = "log"

        /// Whether it changes something that the worker tells its master besides the answer.
        public var changesWorker: Bool {
            switch self {
            case .rulesReload, .rulesRollback, .kick, .holdBans, .closeChat, .shed, .drain, .undrain, .reload: true
            case .rules, .explain, .traceBegin, .traceRead, .traceEnd, .condition, .client, .subscriptions, .groups, .topics, .drainState,
                .configuration, .logLevels:
                false
            }
        }
    }

    public var name: Name
    /// A JSON object.
    public var arguments: [UInt8]
    /// The one worker that is asked, `host:port`; nil: all.
    public var worker: String?
    /// Seconds to wait for the answers.
    public var patience: Double

    public init(_ name: Name, arguments: [UInt8] = Array("{}".utf8), worker: String? = nil, patience: Double = 2) {
        self.name = name
        self.arguments = arguments
        self.worker = worker
        self.patience = patience
    }
}

/// The answers of the workers to a command.
public struct WorkerAnswers: Equatable, Sendable {
    public struct Answer: Equatable, Sendable {
        /// `host:port`.
        public var worker: String
        /// A JSON object, or why the worker has not done it.
        public var result: Result<[UInt8], ShuntError>

        public init(worker: String, result: Result<[UInt8], ShuntError>) {
            self.worker = worker
            self.result = result
        }
    }

    /// In the order of the workers' names.
    public var answers: [Answer]
    /// Workers that were not reached, or have not answered in time.
    public var missing: [String]

    public init(answers: [Answer], missing: [String]) {
        self.answers = answers
        self.missing = missing
    }
}
