import ExchangeCodec
import Glibc
import Logging
public import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntReactor
public import ShuntTLS
import Synchronization

/// A running worker: its listeners, loops and the link to its master.
public final class Worker: Sendable {
    /// Address by listener name, with real ports.
    public let listeners: [String: String]
    /// Where clients of the exchange protocol connect; nil where there is no listener for them.
    public let exchangeAddress: String?
    /// By their numbers.
    private let listenerNames: [String]
    private let loops: [LoopThread<WorkerLoop>]
    private let control: LoopThread<ControlLoop>
    let peers: LoopPeers
    let descriptors: DescriptorBudget
    let version: String
    /// By listener, of those that speak TLS.
    let tls: [String: ListenerTLS]
    /// How masters are spoken to; nil: by plain bytes.
    let clusterTLS: ReloadableTLS?
    private let status: WorkerStatus
    let deployments: RuleDeployments
    let keeper: RuleKeeper
    /// Why the configuration that was read last was not taken; nil where it was.
    let refusedConfiguration = Mutex<RefusalRecord?>(nil)

    /// Opens the listeners and starts the loops.
    /// - Parameters:
    ///   - clusterToken: what masters must prove to have; nil: nothing.
    ///   - clusterTLS: how masters are spoken to; nil: by plain bytes.
    ///   - boot: names this run.
    ///   - descriptors: those of the process.
    /// - Throws: `address.in_use`, `address.unavailable`, `tls.invalid`, `rule.*`; nothing is left running.
    public init(
        _ configuration: Configuration, clusterToken: ClusterToken? = nil, clusterTLS: ReloadableTLS? = nil, version: String, boot: String,
        descriptors: DescriptorBudget
    ) throws(ShuntError) {
        (self.descriptors, self.clusterTLS, self.version) = (descriptors, clusterTLS, version)
        let worker = configuration.worker
        let checked = try WorkerRules(configuration, events: WorkerEvents(), now: Self.now)
        try Self.checkListeners(of: worker, hasMasters: !worker.masters.isEmpty)
        let tls = try ListenerTLS.all(of: configuration, Logger(label: "shunt.listener"))
        self.tls = tls
        let sockets = try Self.open(worker.listeners)
        exchangeAddress = sockets.first { worker.listeners[$0.name]?.protocol == .exchange }?.socket.address.description
        listeners = Dictionary(uniqueKeysWithValues: sockets.map { ($0.name, $0.socket.address.description) })
        let count = Self.loopCount(configuration)
        let setups = sockets.compactMap { socket in worker.listeners[socket.name].map { ListenerSetup(name: socket.name, $0, tls: tls[socket.name]) }
        }
        listenerNames = sockets.map(\.name)
        let doors = try Self.doors(of: configuration, sockets)
        peers = LoopPeers(
            loops: count, listeners: setups, mailboxLimit: configuration.limits.mailbox, connectionLimit: configuration.limits.connections,
            descriptors: descriptors, doorkeeper: Doorkeeper(doors, threads: count, Self.accessLogger),
            log: ConnectionLog(Logger(label: "shunt.listener"), descriptors), events: checked.events)
        deployments = RuleDeployments(checked, configuration, peers)
        keeper = RuleKeeper(deployments)
        status = WorkerStatus(hasMasters: !worker.masters.isEmpty)
        loops = try Self.startLoops(count, configuration, setups, checked, peers)
        peers.start(loops)
        do throws(ShuntError) {
            try peers.waitForStart(of: count)
        } catch {
            Self.stop(loops, peers)
            for (_, socket) in sockets { socket.close() }
            throw error
        }

        let identity = Self.identity(
            of: worker, port: sockets.first?.socket.address.hostPort?.port ?? 0, boot: boot, version: version, listeners)
        let masters = MasterList(configuration, clusterToken, clusterTLS)
        let followsBalance = worker.balance
        let (interval, systemInterval) = (worker.heartbeat.every.seconds, configuration.mqtt.sysInterval.seconds)
        control = try LoopThread(
            index: 255, name: "control", limits: ConnectionLimits(peerSeconds: configuration.limits.peerSeconds)
        ) { [peers, status, opened = sockets.map(\.socket)] loop in
            ControlLoop(
                loop: loop, sockets: opened, masters: masters, interval: interval, identity: identity,
                frameLimit: configuration.limits.frame, systemInterval: systemInterval, followsBalance: followsBalance,
                descriptors: descriptors, peers: peers, status: status,
                logger: Logger(label: "shunt.link"))
        }
        performCommands(allowsPayloads: worker.adminPayloads)
        peers.start(control)
        do throws(ShuntError) {
            try keeper.start()
        } catch {
            stop()
            throw error
        }
    }

    private func performCommands(allowsPayloads: Bool) {
        performRuleCommands()
        peers.performClientCommands()
        peers.performSubscriptionCommands()
        peers.performTopicCommands()
        peers.performDrainCommands()
        peers.answerAboutMessages(allowsPayloads: allowsPayloads)
    }

    private static func doors(
        of configuration: Configuration, _ sockets: [(name: String, socket: ListeningSocket)]
    ) throws(ShuntError) -> [Door] {
        do throws(ShuntError) {
            return try Door.all(of: configuration, sockets.map(\.name), accessLogger)
        } catch {
            for (_, socket) in sockets { socket.close() }
            throw error
        }
    }

    private static func identity(
        of worker: Configuration.Worker, port: Int, boot: String, version: String, _ listeners: [String: String]
    ) -> WorkerIdentity {
        WorkerIdentity(
            host: worker.advertise, port: port, machine: WorkerIdentity.machineID(), boot: boot, version: version, listeners: listeners,
            interval: worker.heartbeat.every.seconds, name: worker.name)
    }

    private static func checkListeners(of worker: Configuration.Worker, hasMasters: Bool) throws(ShuntError) {
        guard !hasMasters || worker.listeners.values.contains(where: { $0.protocol == .exchange && $0.listen.hostPort != nil }) else {
            throw ShuntError(
                .configInvalid, "a worker with masters has no listener of the exchange protocol with a port", at: "worker.listeners",
                help: "masters send clients of that protocol to it: add one, or set worker.masters to []")
        }
    }

    private static let accessLogger = Logger(label: "shunt.access")

    /// Takes on what may change while it runs: limits, strategies, what happens to slow consumers, the rules, what is in certificates' files.
    /// - Parameter isCancelled: whether the process is to end, asked while the new rules are tested.
    /// - Returns: how the rules differ from those before.
    /// - Throws: `rule.*` if the new rules are wrong; then nothing has changed.
    public func apply(_ configuration: Configuration, isCancelled: @escaping @Sendable () -> Bool = { false }) throws(ShuntError) -> RuleChanges {
        let doors = try Door.all(of: configuration, listenerNames, Self.accessLogger)
        let changes = try deployments.reload(configuration, isCancelled: isCancelled)
        keeper.look()
        let limits = RoutingLimits(configuration, loops: loops.count)
        let count = loops.count
        let strategies = configuration.worker.groups
        let slowPolicies = configuration.worker.slowPolicies
        let chat = ChatSettings(configuration)
        peers.setMailboxLimit(configuration.limits.mailbox)
        peers.setConnectionLimit(configuration.limits.connections)
        let peerSeconds = configuration.limits.peerSeconds
        let systemInterval = configuration.mqtt.sysInterval.seconds
        control.post {
            $0.setPeerSeconds(peerSeconds)
            $0.setSystemInterval(systemInterval)
        }
        peers.onEach { loop in
            loop.setLimits(limits, ConnectionLimits(configuration, loops: count))
            loop.setStrategies(strategies)
            loop.setSlowPolicies(slowPolicies)
            loop.setChat(chat)
        }
        peers.renewCertificates { $0.reload() }
        peers.doorkeeper.set(doors)
        peers.onEach { $0.setAccess(doors) }
        return changes
    }

    /// Checks what the start would, without opening anything: listeners and their certificates, and the rules that the configuration enables.
    /// - Parameter besideMaster: whether it is to be the worker of a master in its own process.
    /// - Returns: how many rules there are.
    public static func check(_ configuration: Configuration, besideMaster: Bool = false) throws(ShuntError) -> Int {
        try checkListeners(of: configuration.worker, hasMasters: besideMaster || !configuration.worker.masters.isEmpty)
        _ = try ListenerTLS.all(of: configuration, Logger(label: "shunt.listener"))
        _ = try Door.all(of: configuration, configuration.worker.listeners.keys.sorted(), accessLogger)
        return try WorkerRules(configuration, events: WorkerEvents(), now: now).set.rules.count
    }

    var loopCount: Int { loops.count }

    /// Who performs the commands that operators give this worker by its master.
    public var commands: WorkerCommands { peers.commands }

    /// What the worker has counted.
    public var figures: WorkerFigures { WorkerFigures(peers.figures()) }

    /// The master that has answered; nil while there is none.
    public var master: String? { status.master }

    /// nil when the worker can serve, else why it cannot.
    public var readiness: ShuntError? { status.readiness }

    /// What an operator should know of a worker that serves; nil where all is well.
    public var note: String? { status.note }

    /// Closes everything and waits for the loops to end.
    public func stop() {
        status.setStopping()
        keeper.stop()
        control.post { $0.stop() }
        control.join()
        Self.stop(loops, peers)
    }

    private static func stop(_ loops: [LoopThread<WorkerLoop>], _ peers: LoopPeers) {
        peers.doorkeeper.remote.stop()
        peers.lookups.stop()
        peers.onEach { $0.stop() }
        for loop in loops { loop.join() }
    }

    // MARK: Starting

    private static func open(
        _ listeners: [String: Configuration.Worker.Listener]
    ) throws(ShuntError) -> [(name: String, socket: ListeningSocket)] {
        var sockets: [(name: String, socket: ListeningSocket)] = []
        // A listener of the exchange protocol for clients comes first, plain before TLS, which those of message-channel do not speak, and the
        // one that is called exchange before others: its port is the worker's in the master's directory.
        func rank(_ name: String, _ listener: Configuration.Worker.Listener) -> Int {
            listener.protocol != .exchange || listener.listen.hostPort == nil
                ? 3
                : !listener.proxies.isEmpty || listener.transport != .tcp || listener.tls.isOn ? 2 : name != "exchange" ? 1 : 0
        }
        for (name, listener) in listeners.sorted(by: { (rank($0.key, $0.value), $0.key) < (rank($1.key, $1.value), $1.key) }) {
            do throws(ShuntError) {
                sockets.append((name, try ListeningSocket(listener.listen, name: "worker.listeners.\(name).listen")))
            } catch {
                for opened in sockets { opened.socket.close() }
                throw error
            }
        }
        return sockets
    }

    private static func startLoops(
        _ count: Int, _ configuration: Configuration, _ listeners: [ListenerSetup], _ rules: WorkerRules, _ peers: LoopPeers
    ) throws(ShuntError) -> [LoopThread<WorkerLoop>] {
        let setup = LoopSetup(
            loops: count, listeners: listeners, limits: RoutingLimits(configuration, loops: count), strategies: configuration.worker.groups,
            slowPolicies: configuration.worker.slowPolicies, chat: ChatSettings(configuration), rules: rules)
        var loops: [LoopThread<WorkerLoop>] = []
        let limits = ConnectionLimits(configuration, loops: count)
        for index in 0..<count {
            loops.append(
                try LoopThread(index: UInt8(index), name: "loop-\(index)", limits: limits) { loop in
                    WorkerLoop(loop: loop, setup: setup, peers: peers)
                })
        }
        return loops
    }

    static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// The loops of a worker of this configuration.
    public static func loopCount(_ configuration: Configuration) -> Int {
        configuration.worker.loops > 0 ? configuration.worker.loops : cores
    }

    private static var cores: Int { max(1, min(64, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))) }
}

extension RoutingLimits {
    /// Of each of so many loops.
    public init(_ configuration: Configuration, loops: Int) {
        let limits = configuration.limits
        self.init(
            frame: limits.frame, subscriptions: limits.subscriptions, topic: limits.topic, group: limits.group,
            hops: limits.hops, fanout: limits.fanout, inflated: limits.inflated, mqtt: MQTTLimits(configuration, loops: loops))
        let delay = configuration.rules.delay
        (delayedMessages, delayedBytes) = (delay.messages / loops, delay.bytes / loops)
        deadLetterTopic = Array(configuration.rules.deadLetter.utf8)
    }
}

extension MQTTLimits {
    /// Each loop gets its share of what is for the whole worker.
    init(_ configuration: Configuration, loops: Int) {
        let mqtt = configuration.mqtt
        let share = { (total: Int) in (total + loops - 1) / loops }
        self.init(
            sessions: share(mqtt.sessions), sessionExpiry: UInt32(mqtt.sessionExpiry.seconds),
            maximumSessionExpiry: UInt32(mqtt.sessionExpiryMaximum.seconds), queueMessages: mqtt.queueMessages, queueBytes: mqtt.queueBytes,
            memory: share(mqtt.memory), queueFull: mqtt.queueFull, inflight: mqtt.inflight, patience: configuration.worker.slowPatience.seconds,
            receiveMaximum: UInt16(mqtt.receiveMaximum), topicAliases: UInt16(mqtt.topicAliases),
            maximumKeepAlive: UInt16(mqtt.keepAliveMaximum.seconds), retainedMessages: share(mqtt.retainedMessages),
            retainedBytes: share(mqtt.retainedBytes), retainedAge: UInt32(mqtt.retainedAge.seconds), broadcastsFrom: mqtt.broadcastsFrom)
    }
}

extension ChatSettings {
    init(_ configuration: Configuration) {
        let chat = configuration.chat
        self.init(
            members: chat.members, rejoin: chat.rejoin.seconds, idle: chat.idle.seconds,
            hasMasters: !configuration.worker.masters.isEmpty)
    }
}

extension ConnectionLimits {
    /// Each loop gets its share of the buffers; the connections of all loops are counted together, as clients move between them.
    init(_ configuration: Configuration, loops: Int) {
        let limits = configuration.limits
        self.init(
            outBuffer: limits.outBuffer, buffers: limits.buffers / loops, frameSeconds: max(1, Int(limits.frameTime.seconds)),
            connections: limits.connections, peerSeconds: limits.peerSeconds,
            slowPatience: Int(configuration.worker.slowPatience.seconds * 1000), stuckConsumer: configuration.worker.stuckConsumer)
    }
}

extension Duration {
    /// As a number of seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
