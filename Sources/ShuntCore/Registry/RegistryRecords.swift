/// A worker as the registry keeps it. Metadata only: nothing of a message.
public struct WorkerRecord: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        case live, draining
        /// It has signed off.
        case left
        /// It has fallen silent.
        case lost
        /// This master has stood by for another since, and has not heard of the worker again.
        case unknown

        /// Whether the worker is not at this master.
        public var isAway: Bool {
            switch self {
            case .live, .draining: false
            case .left, .lost, .unknown: true
            }
        }
    }

    /// `host:port` that clients are told; unique.
    public var name: String
    public var host: String
    public var port: Int
    public var state: State
    /// The machine id that the worker tells; empty if it tells none.
    public var machine: String
    /// The software, e.g. `shunt 0.1.0`; `message-channel` for a Java worker.
    public var version: String
    /// Address by listener name.
    public var listeners: [String: String]
    /// Seconds since 1970 when the worker started, by the master's clock; of one that does not say so, when this master first heard this run.
    public var startedAt: Double
    /// Seconds since 1970 when the last heartbeat arrived, by the master's clock.
    public var heartbeatAt: Double
    /// The name that its operator has given it (`worker.name`); several workers may have the same. Empty for a Java worker.
    public var configuredName: String
    /// The worst of its stuck consumers: address, uid, groups. At most three.
    public var stuck: [String]
    public var figures: WorkerFigures

    public init(
        name: String, host: String, port: Int, state: State, machine: String = "", version: String = "",
        listeners: [String: String] = [:], startedAt: Double, heartbeatAt: Double, configuredName: String = "",
        stuck: [String] = [], figures: WorkerFigures = .init()
    ) {
        self.name = name
        self.host = host
        self.port = port
        self.state = state
        self.machine = machine
        self.version = version
        self.listeners = listeners
        self.startedAt = startedAt
        self.heartbeatAt = heartbeatAt
        self.configuredName = configuredName
        self.stuck = stuck
        self.figures = figures
    }
}

/// The figures of a heartbeat (exchange protocol §9.1). Totals since the worker started.
public struct WorkerFigures: Codable, Equatable, Sendable {
    public var connections: Int
    public var connectionsAccepted: Int
    public var connectionErrors: Int
    public var requests: Int
    public var requestBytes: Int
    public var responses: Int
    public var responsesSucceeded: Int
    public var responsesFailed: Int
    public var responseMilliseconds: Int
    public var responseBytes: Int
    public var subscriptions: Int
    /// Messages handed to subscribers.
    public var deliveries: Int
    /// Clients that the worker does not read from at this moment, since a consumer of their messages is congested.
    public var heldProducers: Int
    /// Clients that read too slowly for anybody to wait for them, at this moment.
    public var stuckConsumers: Int
    /// Connected clients of MQTT, at this moment, as are all that follow.
    public var mqttClients = 0
    /// Sessions that outlive their connections, and those of them whose client is away.
    public var mqttSessions = 0
    public var mqttAbsent = 0
    /// Messages that wait for clients, and the bytes of what is kept for sessions.
    public var mqttQueued = 0
    public var mqttHeldBytes = 0
    /// Retained messages, and their bytes.
    public var mqttRetained = 0
    public var mqttRetainedBytes = 0

    public init(
        connections: Int = 0, connectionsAccepted: Int = 0, connectionErrors: Int = 0, requests: Int = 0,
        requestBytes: Int = 0, responses: Int = 0, responsesSucceeded: Int = 0, responsesFailed: Int = 0,
        responseMilliseconds: Int = 0, responseBytes: Int = 0, subscriptions: Int = 0, deliveries: Int = 0, heldProducers: Int = 0,
        stuckConsumers: Int = 0
    ) {
        self.connections = connections
        self.connectionsAccepted = connectionsAccepted
        self.connectionErrors = connectionErrors
        self.requests = requests
        self.requestBytes = requestBytes
        self.responses = responses
        self.responsesSucceeded = responsesSucceeded
        self.responsesFailed = responsesFailed
        self.responseMilliseconds = responseMilliseconds
        self.responseBytes = responseBytes
        self.subscriptions = subscriptions
        self.deliveries = deliveries
        self.heldProducers = heldProducers
        self.stuckConsumers = stuckConsumers
    }
}

/// An event that operators may want to look up later.
public struct EventRecord: Codable, Hashable, Sendable {
    public enum Kind: String, Codable, Sendable, CaseIterable {
        case masterStarted = "master.started"
        case masterStopped = "master.stopped"
        /// A master of several has begun to serve, or does so no longer.
        case masterServing = "master.serving"
        case masterStandby = "master.standby"
        case workerJoined = "worker.joined"
        case workerReturned = "worker.returned"
        case workerLost = "worker.lost"
        case workerLeft = "worker.left"
        case workerSkewed = "worker.skewed"
        /// A worker takes no new clients; or takes clients again.
        case workerDraining = "worker.draining"
        case workerUndrained = "worker.undrained"
        /// A worker that drains has nobody left.
        case workerDrained = "worker.drained"
        /// Somebody has come who says that it is a worker, and does not prove it.
        case linkRefused = "link.refused"
        /// Somebody has asked the admin API who may not.
        case adminRefused = "admin.refused"
        /// A worker runs another version of its rules.
        case rulesLoaded = "rules.loaded"
        /// A worker was given rules that it does not take, or could not go back to the version before; those that ran go on.
        case rulesRefused = "rules.refused"
        /// A worker has gone back to the version before, by an operator or by itself.
        case rulesRolledBack = "rules.rolled_back"
        /// A rule fails too often, and is switched off on a loop; or it is tried again.
        case ruleOff = "rule.off"
        case ruleOn = "rule.on"
        /// An operator has given a command.
        case command
    }

    /// What the detail of an event says where no operator has asked for it.
    public static let byItself = "by itself"

    /// Seconds since 1970.
    public var at: Double
    public var kind: Kind
    /// The worker's name, the address of who was refused, the name of the operator's token.
    public var subject: String
    /// A sentence; never anything of a message.
    public var detail: String

    public init(at: Double, kind: Kind, subject: String, detail: String) {
        self.at = at
        self.kind = kind
        self.subject = subject
        self.detail = detail
    }
}

/// One change for the registry to write. The master's state machines return these; a writer off the loops batches them.
public enum RegistryChange: Equatable, Sendable {
    /// Inserts or replaces the worker of that name. Only the newest in a batch need be written.
    case worker(WorkerRecord)
    case workerState(name: String, WorkerRecord.State, at: Double)
    case event(EventRecord)
    case device(DeviceChange)
    case chat(ChatChange)
    case client(ClientChange)
    /// Inserts the point, or replaces one of as many heartbeats or less.
    case history(HistoryPoint)
    /// Inserts or replaces the ban of that subject.
    case ban(Ban)
    case unban(BanSubject)
}
