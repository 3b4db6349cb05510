import ExchangeCodec
import Logging
import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntTLS

/// A worker's loop without clients: accepts connections and hands them to the others, and keeps the link to the master.
final class ControlLoop: EventLoopHandler {
    let loop: EventLoop
    let peers: LoopPeers
    let identity: WorkerIdentity
    private let status: WorkerStatus
    let logger: Logger
    var link: MasterLink
    /// Where masters are that need not prove anything, and speak plain bytes.
    private let unproved: [AddressRange]
    /// How the others are spoken to; nil: by plain bytes too.
    private let tls: ReloadableTLS?
    /// TLS of the connection that was made last, or is being made, to the master.
    private var dialled: TLSTransport?
    private var connection: Connection?
    private var random = SystemRandomNumberGenerator()
    private var reports: MasterReports
    var clients: ClientReports
    private var failureToldAt = -Double.infinity
    private var refusalToldAt = -Double.infinity
    /// What was told of masters that are not trusted, since one was joined.
    private var doubts: Set<String> = []
    private var isStopping = false
    /// An earlier master of the list is being asked whether it is there, on this connection once it is open.
    private var isLooking = false
    private var looking: Connection?
    /// Loops that want to hear when the master has taken what they told.
    private var confirmations: [MasterLink.Confirmation] = []
    private var systemTopics: SystemTopics
    /// Seconds between two publications below `$SYS`; 0: none.
    private var systemInterval: Double
    private var systemToldAt = -Double.infinity
    private var bounds = BoundsLog()
    private var roomAskedAt = -Double.infinity
    private var certificatesSeenAt = -Double.infinity
    /// What the master has told of bans and the loops have not learned yet.
    private var toldBans: [BansBody] = []
    /// Who wants to know when all loops have.
    private var awaitingBans: [WorkerCommands.Done] = []
    private var bansToldAt = -Double.infinity
    /// What the master asks of the retained messages.
    var inquiries = RetainedInquiries()
    /// Bytes of a frame that a master takes.
    let reportLimit: Int
    /// Clients that are being sent to other workers.
    var drain: WorkerDrain?
    /// How often that has begun.
    var drains = 0
    /// Answers to commands that wait until the master knows what these have changed, and how many there have been.
    var heldAnswers: [HeldAnswer] = []
    var held: Int64 = 0
    /// Whether BALANCE of a message-channel master counts.
    let followsBalance: Bool
    /// Open chats that a message-channel master is still to be told, which takes no reports.
    private var retold: [String] = []

    init(
        loop: EventLoop, sockets: [ListeningSocket], masters: MasterList, interval: Double, identity: WorkerIdentity,
        frameLimit: Int, systemInterval: Double, followsBalance: Bool, descriptors: DescriptorBudget, peers: LoopPeers, status: WorkerStatus,
        logger: Logger
    ) {
        systemTopics = SystemTopics(version: identity.version, now: loop.now)
        self.systemInterval = systemInterval
        self.followsBalance = followsBalance
        self.loop = loop
        self.peers = peers
        self.identity = identity
        self.status = status
        unproved = masters.unproved
        tls = masters.tls
        self.logger = logger
        // A master has the same limits, more often than not.
        reportLimit = frameLimit
        var limits = ReportLimits()
        limits.bytes = min(limits.bytes, frameLimit)
        let worker = WorkerSource(host: identity.host, port: identity.port)
        reports = MasterReports(worker: worker, limits: limits)
        clients = ClientReports(worker: worker, listeners: peers.listeners.map(\.name))
        link = MasterLink(masters: masters.addresses, interval: interval, secret: masters.secret, now: loop.now)
        for (number, socket) in sockets.enumerated() {
            loop.accept(on: socket, within: descriptors) { peers.accepted($0, listener: UInt16(number)) }
        }
    }

    func opened(_ connection: Connection) {
        guard connection.role != Self.lookRole else {
            looking = connection
            // Every master answers a bare PING, if only with 400.
            return send(Frame(.ping, id: 1).encoded(), to: connection)
        }
        self.connection = connection
        carryOut(link.connected(now: loop.now, localHost: connection.localHost, isTrusted: isTrusted(connection)))
    }

    private func isTrusted(_ connection: Connection) -> Bool {
        guard !unproved.isEmpty, let master = PeerAddress(host: connection.remoteAddress.host) else { return false }
        return unproved.contains { $0.contains(master) }
    }

    /// An earlier master is looked at by TLS as well: one that does not shake hands is not there.
    func transport(for connection: Connection) -> (any Transport)? {
        guard let tls, !isTrusted(connection) else { return nil }
        let transport = TLSTransport(tls.context)
        if connection.role != Self.lookRole { dialled = transport }
        return transport
    }

    /// A look at an earlier master is over.
    private func looked(isThere: Bool) {
        isLooking = false
        let connection = looking
        looking = nil
        if let connection { loop.close(connection, .byUs(why: "the master was only asked whether it is there")) }
        carryOut(link.looked(isThere: isThere))
    }

    private func send(_ bytes: [UInt8], to connection: Connection) {
        bytes.withUnsafeBytes { bytes in
            loop.answer(bytes.count, to: connection) {
                $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
            }
        }
    }

    private static let lookRole = Connection.Role.outbound(1)

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        guard connection.role != Self.lookRole else {
            guard connection === looking else { return bytes.count }
            switch FrameDecoder.decode(bytes, limit: Self.frameLimit) {
            case .frame(let view): looked(isThere: view.type == .acknowledgement)
            case .needMore: return 0
            case .malformed: looked(isThere: false)
            }
            return bytes.count
        }
        var offset = 0
        while offset < bytes.count, connection.isOpen {
            let rest = Bytes(rebasing: bytes[offset...])
            switch FrameDecoder.decode(rest, limit: Self.frameLimit) {
            case .frame(let view):
                guard let start = rest.baseAddress else { return offset }
                carryOut(link.received(Frame(view, in: start), now: loop.now))
                offset += Int(view.size)
            case .needMore: return offset
            case .malformed(let fault):
                loop.close(connection, .failed(why: fault.error().description))
                return bytes.count
            }
        }
        return offset
    }

    /// What a master sends is small.
    private static let frameLimit = 1 << 20

    func pressure(_ pressure: ConsumerPressure, on connection: Connection) {}

    func framing(of role: Connection.Role) -> Framing { .link }

    func closed(_ connection: Connection, reason: CloseReason) {
        // One that is not open yet has no other place.
        guard connection.role != Self.lookRole else {
            guard isLooking, looking == nil || connection === looking else { return }
            looking = nil
            return looked(isThere: false)
        }
        guard connection === self.connection || self.connection == nil else { return }
        self.connection = nil
        let failure = dialled?.failure
        dialled = nil
        if let failure, !isStopping {
            doubt("\(link.master) was left: \(failure) (cluster.tls)")
            failureToldAt = loop.now
        }
        linkClosed(why: reason == .byPeer ? "the master closed the connection" : reason.text)
    }

    func connectFailed(role: Connection.Role, address: HostPort, why: String) {
        if role == Self.lookRole { looked(isThere: false) } else { linkClosed(why: why) }
    }

    /// The connection may have taken what waited.
    func turnEnded() {
        sendWaitingReports()
        confirm()
        tellBans()
    }

    /// One batch is under way at a time: what comes meanwhile is in the next.
    private func confirm() {
        guard !confirmations.isEmpty, !link.isConfirming else { return }
        sendReports()
        guard reports.isDrained else { return }
        let asked = confirmations
        confirmations = []
        carryOut(link.confirm(asked))
    }

    func tick() {
        carryOut(link.tick(now: loop.now))
        sendReports()
        if reports.mustBeginAgain { reportAll(isShunt: true) }
        retell()
        peers.log.tick(now: loop.now)
        peers.readMail.tick()
        peers.doorkeeper.tick()
        bounds.tick(peers.figures(), now: loop.now, logger)
        tellSystemTopics()
        lookAtCertificates()
        tellBans()
        tickDrain()
        answerSettled()
    }

    private func lookAtCertificates() {
        guard abs(loop.now - certificatesSeenAt) >= 1 else { return }
        certificatesSeenAt = loop.now
        peers.renewCertificates { [now = loop.now] in $0.look(now: now) }
    }

    /// A client finds no room: where there is some should be known now.
    func askRoom() {
        guard abs(loop.now - roomAskedAt) >= 0.2 else { return }
        roomAskedAt = loop.now
        carryOut(link.askRoom(now: loop.now))
    }

    /// The worker's figures, for tools that read them below `$SYS`.
    private func tellSystemTopics() {
        guard systemInterval > 0, abs(loop.now - systemToldAt) >= systemInterval else { return }
        systemToldAt = loop.now
        let changes = systemTopics.changes(SystemTopics.Totals(peers.figures()), now: loop.now)
        peers.on(0) { loop in for change in changes { loop.publishSystem("broker/" + change.topic, change.value) } }
    }

    func setSystemInterval(_ seconds: Double) { systemInterval = seconds }

    /// How long a master's machine may be silent, on connections made from now on.
    func setPeerSeconds(_ seconds: Int) {
        var limits = loop.limits
        limits.peerSeconds = seconds
        loop.setLimits(limits)
    }

    func stop() {
        isStopping = true
        // A client that was here for a moment should be known.
        sendReports()
        carryOut(link.stop(lastHeartbeat(), now: loop.now))
    }

    // MARK: What loops tell

    /// A loop has something for the master.
    func tell(_ messages: [MasterNews], from index: UInt8) {
        for message in messages {
            if case .askChat(let request, let chat) = message {
                // What was told before is known to the master when it is asked.
                sendReports()
                let question = MasterLink.ChatQuestion(loop: index, request: request, chat: chat)
                carryOut(link.ask(question, host: ChatHostBody(host: identity.host, port: identity.port), now: loop.now))
            } else if case .confirm(let request) = message {
                confirmations.append(MasterLink.Confirmation(loop: index, request: request))
            } else if case .clientsChanged = message {
                carryOut(clients.changed(index))
            } else {
                reports.add(message)
            }
        }
    }

    /// A message-channel master that has started again learns of open chats as it did of new ones: it is asked for them.
    private func retell() {
        for chat in retold.suffix(Self.retoldPerTick) {
            let home = UInt8(ChatHouse.home(of: chat, loops: peers.count))
            let question = MasterLink.ChatQuestion(loop: home, request: ChatHouse.retold, chat: chat)
            carryOut(link.ask(question, host: ChatHostBody(host: identity.host, port: identity.port), now: loop.now))
        }
        retold.removeLast(min(retold.count, Self.retoldPerTick))
    }

    private static let retoldPerTick = 500

    /// All that a loop holds, asked for when a master was joined.
    func received(_ holdings: LoopHoldings, round: Int) {
        reports.add(devices: holdings.devices, chats: holdings.chats, round: round)
        if !reports.isShunt, round == reports.round { retold += holdings.chats.map(\.chat) }
        sendReports()
    }

    /// The loops learn who is banned. While no master is there, what one has told holds.
    private func tellBans() {
        guard !toldBans.isEmpty || !awaitingBans.isEmpty, abs(loop.now - bansToldAt) >= Self.bansInterval else { return }
        bansToldAt = loop.now
        let held = LoopSum((), missing: peers.count)
        peers.onEach { [toldBans, awaitingBans] loop in
            loop.changeBans(toldBans)
            guard held.add((), { _, _ in }) != nil else { return }
            for done in awaitingBans { done(.success(Array("{}".utf8))) }
        }
        (toldBans, awaitingBans) = ([], [])
    }

    /// - Parameter done: called once all loops have learned of the bans that the master has told, and have closed the clients of these.
    func whenBansAreHeld(_ done: @escaping WorkerCommands.Done) {
        awaitingBans.append(done)
        tellBans()
    }

    /// Seconds between two times in which loops learn of bans: each time they look at all of their clients.
    private static let bansInterval = 0.05

    func sendReports() {
        reports.gather()
        sendWaitingReports()
    }

    /// Little waits on the connection at any time, however much there is to tell.
    private func sendWaitingReports() {
        while let connection, connection.waiting < Self.reportsAhead, let report = reports.next() {
            carryOut(link.tell(report.type, report.body, name: report.name, key: report.key, now: loop.now))
        }
    }

    /// Bytes of reports that may wait on the connection before more are made.
    private static let reportsAhead = 256 << 10

    // MARK: The link

    private func linkClosed(why: String) {
        let master = link.master
        carryOut(link.closed(why: why, now: loop.now, random: Double.random(in: 0..<1, using: &random)))
        guard !isStopping, abs(loop.now - failureToldAt) >= 30 else { return }
        failureToldAt = loop.now
        logger.warning("no master; routing goes on, and the list is tried again", metadata: ["master": "\(master)", "why": "\(why)"])
    }

    private func reportAll(isShunt: Bool) {
        retold = []
        reports.begin(isShunt: isShunt, loops: peers.count)
        peers.askHoldings(round: reports.round)
    }

    private static let doubtsKept = 64

    /// A master that is there is not used.
    private func doubt(_ why: String) {
        status.setDoubt(why)
        // Each is told once, until a master is joined. Several masters may fail in turn.
        if doubts.count >= Self.doubtsKept { doubts = [] }
        guard doubts.insert(why).inserted else { return }
        logger.error("a master is not trusted", metadata: ["why": "\(why)"])
    }

    private func refused(_ master: String, _ why: String) {
        if !link.isUp { status.setDoubt("\(master) does not take this worker: \(why)") }
        guard abs(loop.now - refusalToldAt) >= 30 else { return }
        refusalToldAt = loop.now
        logger.warning("the master does not take what it is told", metadata: ["master": "\(master)", "why": "\(why)"])
    }

    func carryOut(_ actions: [MasterLink.Action]) {
        for action in actions {
            switch action {
            case .connect(let text):
                guard let address = HostPort(text) else {
                    linkClosed(why: "\(text) is no address")
                    continue
                }
                loop.connect(to: address, role: .outbound(0))
            case .send(let bytes):
                if let connection { send(bytes, to: connection) }
            case .look(let text):
                // One that was asked before and has not answered since is not there.
                if isLooking, looking != nil { looked(isThere: false) }
                guard !isLooking, let address = HostPort(text) else { continue }
                isLooking = true
                loop.connect(to: address, role: Self.lookRole)
            case .report:
                carryOut(link.heartbeat(heartbeat, now: loop.now))
                if peers.isHalfFull { askRoom() }
            case .close(let why):
                if let connection { loop.close(connection, .byUs(why: why)) }
            case .joined(let master, let isShunt):
                status.setMaster(master)
                failureToldAt = -Double.infinity
                doubts = []
                logger.info("joined a master", metadata: ["master": "\(master)"])
                reportAll(isShunt: isShunt)
                if peers.isHalfFull { askRoom() }
            case .tookEvents(let number): peers.events.took(upTo: number, now: loop.now)
            case .reportAgain: reportAll(isShunt: true)
            case .ended: loop.shutDown()
            case .answered(let question, let assignment):
                peers.on(question.loop) { $0.answered(chat: question.chat, request: question.request, assignment) }
            case .chat(let id, let event):
                peers.on(UInt8(ChatHouse.home(of: id, loops: peers.count))) { $0.received(event) }
            case .confirmed(let confirmed):
                for (index, those) in Dictionary(grouping: confirmed, by: \.loop) {
                    peers.on(index) { $0.confirmed(those.map(\.request)) }
                }
            case .asked(let id, let body): asked(id, body)
            case .askedRefused(let id, let query): askedRefused(id, query)
            case .commanded(let id, let body): commanded(id, body)
            case .balance(let target): balance(to: target)
            case .bans(let body): toldBans.append(body)
            case .askedClients(let list): askedClients(list)
            case .tookClients(let isRefused): tookClients(isRefused)
            case .cutOff(let isCutOff): cutOff(isCutOff)
            case .learned(let worker): peers.neighbours.learn(worker)
            case .room(let workers): peers.neighbours.setRoom(workers)
            case .displaced(let devices): peers.onEach { $0.displaced(devices) }
            case .untrusted(let master, let why):
                doubt("\(master) was left: \(why)")
            case .refused(let master, let why): refused(master, why)
            case .lost(let master, let why): lost(master, why)
            }
        }
    }

    private func lost(_ master: String, _ why: String) {
        status.setMaster(nil)
        peers.events.masterLost(now: loop.now)
        peers.neighbours.setRoom([])
        reports.end()
        inquiries.end()
        endClients()
        retold = []
        failureToldAt = loop.now
        logger.warning("lost the master; routing goes on", metadata: ["master": "\(master)", "why": "\(why)"])
    }
}
