import ExchangeCodec
import ShuntCore

/// Everything that a master decides on its exchange port: registration by heartbeat, allocation, chats, devices.
///
/// Events in, actions out; the driver clears `actions` and `changes` when it has carried them out.
public final class MasterEngine {
    public enum Action: Equatable, Sendable {
        case send(ConnectionID, [UInt8])
        /// Write what waits, then close.
        case close(ConnectionID, ErrorCode)
    }

    public internal(set) var actions: [Action] = []
    /// For the registry.
    public internal(set) var changes: [RegistryChange] = []
    public internal(set) var directory: WorkerDirectory
    var peers: [ConnectionID: Peer] = [:]
    var closing: Set<ConnectionID> = []
    var devices: DeviceDirectory
    var chats = ChatDirectory()
    /// From then on every worker that the registry held live has had the time to tell what it holds.
    var settledAt = -Double.infinity
    /// What is to be known of workers' clients.
    var clients = ClientLists()
    /// The workers' figures over time.
    var history = FigureHistory()
    var ids = FrameIDs()
    /// Whom operators keep out, and when it was last looked which bans are over.
    var bans = Bans()
    var bansSeenAt = -Double.infinity
    /// All bans, for workers that join; nil: to be encoded again.
    var encodedBans: [EncodedBans]?
    /// What operators ask the workers.
    var retained = RetainedQuestions()
    var refused = WorkerQuestions<RefusedList>()
    var commands = WorkerQuestions<[WorkerAnswers.Answer]>()
    /// Whether it serves, where it has peers; nil: it serves always.
    var standby: Standby?
    /// Since it began to serve, until workers have told what they hold.
    var filling: Filling?
    /// Bytes of a frame, head and body.
    public var frameLimit: Int

    /// What workers must prove; nil where nobody needs to.
    let secret: LinkSecret?
    /// Whether workers must have shown a certificate of the cluster.
    let needsCertificate: Bool
    /// Where workers come from that need neither.
    let unproved: [AddressRange]
    /// Peers that were refused, as they have not proved that they belong to the cluster.
    public internal(set) var linkRefusals = LinkRefusals()
    /// Refusals that no event has told yet.
    var refusals = 0
    var refusalToldAt = -Double.infinity

    struct Peer {
        /// The IP address.
        var source: String
        /// Whether it has shown a certificate of the cluster.
        var hasCertificate: Bool
        /// Whether it may speak as a worker.
        var trust: Trust
        /// Whose heartbeats come here.
        var worker: String?
        /// Whether its heartbeats are answered by a master that serves.
        var isJoined = false
        /// The address of the other master that asks here how this one is.
        var master: String?
        /// The term of this master in which the other was told all bans.
        var toldTerm: Int64?
        /// Where it was sent last, and when.
        var given: (worker: String, at: Double)?
        /// A whole frame of it has been read.
        var isAdmitted = false
        /// It has sent a frame since `makeRoom` last passed it by.
        var wasActive = false

        mutating func noteFrame() {
            isAdmitted = true
            wasActive = true
        }
    }

    /// Connections in the order in which `makeRoom` looks at them. Some may have gone.
    private var roomOrder: [ConnectionID] = []
    private var roomPosition = 0

    /// - Parameters:
    ///   - keepDevices: seconds that a device which has left is remembered.
    ///   - deviceMemory: bytes that devices may take.
    ///   - secret: what workers must prove; nil for nothing.
    ///   - needsCertificate: whether workers must have shown a certificate of the cluster, too.
    ///   - unproved: where workers come from that need neither.
    ///   - standby: whether it serves; nil for a master without peers.
    public init(
        liveFor: Double, keepDevices: Double = 86_400, deviceMemory: Int = 1 << 30, frameLimit: Int, secret: LinkSecret? = nil,
        needsCertificate: Bool = false, unproved: [AddressRange] = [], standby: Standby? = nil
    ) {
        self.standby = standby
        self.secret = secret
        self.needsCertificate = needsCertificate
        self.unproved = unproved
        directory = WorkerDirectory(liveFor: liveFor)
        devices = DeviceDirectory(keep: keepDevices, memory: deviceMemory)
        self.frameLimit = frameLimit
    }

    // MARK: Events

    /// What the registry held when the master started. Workers have two heartbeats' time to tell their chats and devices again.
    public func restore(
        _ workers: [WorkerRecord], devices: [DeviceRecord] = [], chats: [ChatRecord] = [], bans: [Ban] = [], events: [EventRecord] = [],
        now: Double
    ) {
        for ban in bans { try? self.bans.add(ban) }
        directory.restore(workers, now: now)
        directory.restore(events)
        if workers.contains(where: { !$0.state.isAway }) { settledAt = now + Self.patience }
        record(self.devices.restore(devices, now: now, until: now + Self.patience))
        self.chats.restore(chats, until: now + Self.patience)
        restoreClients(of: workers)
        // While this one was away another has served.
        if standby != nil { retire(now: now) }
    }

    /// Seconds in which every worker has sent two heartbeats.
    static let patience = 2 * WorkerDirectory.usualInterval

    /// - Parameters:
    ///   - source: the client's IP address, without the port.
    ///   - hasCertificate: whether it has shown a certificate of the cluster, which was verified.
    public func opened(_ connection: ConnectionID, source: String, hasCertificate: Bool = false) {
        peers[connection] = Peer(source: source, hasCertificate: hasCertificate, trust: trust(of: source, hasCertificate: hasCertificate))
        if roomOrder.count > 2 * peers.count + 64 {
            roomOrder.removeSubrange(..<roomPosition)
            roomOrder.removeAll { peers[$0] == nil }
            roomPosition = 0
        }
        roomOrder.append(connection)
    }

    /// There is no room for another connection. Clients ask and go, and may come again; a worker holds its connection, and needs it.
    /// - Returns: the connection to close: of those that are no worker's, the one that has been silent longest; nil if all are workers'.
    public func makeRoom() -> ConnectionID? {
        // Every connection is passed by once at most.
        while roomPosition < roomOrder.count {
            let connection = roomOrder[roomPosition]
            roomPosition += 1
            guard let peer = peers[connection], peer.worker == nil, peer.master == nil, !closing.contains(connection) else { continue }
            guard peer.wasActive else { return connection }
            peers[connection]?.wasActive = false
            roomOrder.append(connection)
        }
        return nil
    }

    public func closed(_ connection: ConnectionID, now: Double) {
        closing.remove(connection)
        leaveQuestions(connection)
        clients.closed(connection)
        if let worker = peers.removeValue(forKey: connection)?.worker { directory.disconnected(worker, from: connection) }
    }

    /// - Returns: how many bytes of whole frames were taken.
    public func received(_ bytes: Bytes, on connection: ConnectionID, now: Double) -> Int {
        var offset = 0
        while offset < bytes.count, !closing.contains(connection) {
            let rest = Bytes(rebasing: bytes[offset...])
            switch FrameDecoder.decode(rest, limit: frameLimit) {
            case .frame(let view):
                guard let start = rest.baseAddress else { return offset }
                handle(view, start, connection, now: now)
                offset += Int(view.size)
            case .needMore:
                guard let refusal = StreamRefusal(of: rest, isFirst: isFirst(connection, offset)) else { return offset }
                refuse(refusal, connection)
                return bytes.count
            case .malformed(let fault):
                refuse(StreamRefusal(of: rest, isFirst: isFirst(connection, offset), fault), connection)
                return bytes.count
            }
        }
        return closing.contains(connection) ? bytes.count : offset
    }

    public func tick(now: Double) {
        tickStandby(now: now)
        let changes = directory.tick(now: now)
        leaveQuestions(ofLost: changes)
        apply(changes, now: now)
        tickHistory(now: now)
        tickQuestions(now: now)
        tickBans(now: now)
        var deviceChanges: [DeviceChange] = []
        devices.tick(now: now, &deviceChanges)
        record(deviceChanges)
        var chatChanges: [ChatChange] = []
        // It may still be live, and tells its chats again when it is back.
        for worker in directory.vanished(now: now) { chats.workerLost(worker, now: now, &chatChanges) }
        chats.tick(now: now, &chatChanges)
        record(chatChanges)
    }

    /// Device sessions that are known, offline ones too, and what they take.
    public var deviceCount: Int { devices.count }
    public var deviceMemory: DeviceMemory { devices.memory }
    public var chatCount: Int { chats.count }

    /// Whether any worker has this chat.
    public func knows(chat: String) -> Bool { chats.worker(of: chat) != nil }

    /// The IP address that a worker's heartbeats come from; nil while there is no connection.
    public func source(of worker: String) -> String? { directory.connection(of: worker).flatMap { peers[$0]?.source } }

    public func clear() {
        actions.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
    }

    // MARK: Frames

    private func isFirst(_ connection: ConnectionID, _ offset: Int) -> Bool { offset == 0 && peers[connection]?.isAdmitted == false }

    private func handle(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) {
        peers[connection]?.noteFrame()
        guard admits(frame, start, connection) else { return refuseUnproved(frame, connection, now: now) }
        if frame.type == .acknowledgement { return answered(frame, start, connection) }
        guard !frame.isError else { return }
        do throws(ShuntError) {
            switch frame.type {
            case .ping:
                try heartbeat(frame, start, connection, now: now)
            case .allocation: try allocate(frame, start, connection, now: now)
            case .register:
                try register(frame, start, connection, now: now)
                acknowledge(frame, connection)
            case .chat: try chat(frame, start, connection, now: now)
            case .message, .subscribe, .unsubscribe, .notify:
                throw ShuntError(
                    .requestUnsupported, "a master does not serve \(frame.type)", help: "connect to a worker: ALLOCATION lists them")
            case .binding: try binding(frame, start, connection, now: now)
            case .balance, .registered, .acknowledgement: break
            }
        } catch {
            refuse(frame, connection, error)
        }
    }

    private func heartbeat(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        // A bare PING is refused as message-channel refuses it (Q30).
        guard let value = frame.value(in: start) else { throw ShuntError(.requestInvalid, "Bad Request") }
        guard frame.compression == .none else { throw ShuntError(.requestInvalid, "a heartbeat can't be compressed") }
        let body = try HeartbeatBody(decoding: value)
        let source = peers[connection]?.source ?? ""
        let worker = name(WorkerSource(host: body.serverName, port: body.serverPort), source)
        guard try attends(body, worker, frame, connection, now: now) else { return }
        apply(try directory.heartbeat(body, source: source, connection: connection, now: now), now: now)
        let isFirst = peers[connection]?.isJoined != true
        peers[connection]?.worker = worker
        peers[connection]?.isJoined = true
        // Java's workers know no text here.
        guard body.shunt != nil else { return acknowledge(frame, connection) }
        let mustReport = directory.takeReportRequest(worker)
        answer(frame, connection, reply(to: worker, mustReport: mustReport, now: now))
        if isFirst { tellBans(to: connection, now: now) }
        if isFirst || mustReport { askClients(of: worker, connection, now: now) }
    }

    /// What a worker tells of devices: a batch of a Shunt worker, or a device of a Java worker (§9.4).
    private func register(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        let value = try value(of: frame, start)
        var found: [DeviceChange] = []
        defer {
            record(found)
            tellDisplaced(now: now)
        }
        let refused: Int
        if frame.name(in: start)?.elementsEqual(DeviceBatchBody.frameName.utf8) == true {
            let body = try DeviceBatchBody(decoding: value)
            refused = devices.report(body, from: try teller(body.worker, connection, now: now), now: now, &found)
        } else {
            let body = try RegisterBody(decoding: value)
            let worker = try teller(WorkerSource(host: body.workerHost, port: body.workerPort), connection, now: now)
            refused = devices.register(body, from: worker, now: now, &found) ? 0 : 1
        }
        guard refused == 0 else {
            throw ShuntError(
                .memoryLimit, "\(refused) devices are not kept",
                help: "this master knows \(devices.count), which may take devices.memory; or their uid, tags and the like are too long or too many")
        }
    }

    /// The latest registration of a device counts: Shunt workers that have an earlier one end it.
    private func tellDisplaced(now: Double) {
        let displaced = devices.takeDisplaced()
        guard !displaced.isEmpty else { return }
        for (worker, those) in Dictionary(grouping: displaced, by: \.worker) where directory.takesCommands(worker) {
            guard let connection = directory.connection(of: worker), let record = directory.record(worker) else { continue }
            let body = DeviceBatchBody(worker: WorkerSource(host: record.host, port: record.port), left: those.map(\.session))
            for part in body.split() {
                let frame = Frame(
                    .registered, id: ids.next(now: now), format: .json, value: part.encoded(), name: DeviceBatchBody.frameName)
                actions.append(.send(connection, frame.encoded()))
            }
        }
    }

    func value(of frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> Bytes {
        guard let value = frame.value(in: start) else { throw ShuntError(.requestInvalid, "Bad Request") }
        guard frame.compression == .none else { throw ShuntError(.requestInvalid, "a control frame can't be compressed") }
        return value
    }

    /// The name of a worker that tells or asks something.
    /// - Throws: `worker.unknown` before its first heartbeat: what it tells would be kept for ever.
    func teller(_ worker: WorkerSource, _ connection: ConnectionID, now: Double) throws(ShuntError) -> String {
        let name = name(worker, peers[connection]?.source ?? "")
        try checkServing(now: now)
        standby?.heardAgain(name, now: now)
        guard directory.heard(name, now: now) else {
            throw ShuntError(.workerUnknown, "this master knows no such worker", help: "a worker begins with a heartbeat")
        }
        return name
    }

    /// A worker's name in the directory.
    private func name(_ worker: WorkerSource, _ source: String) -> String {
        HostPort(worker.host ?? source, worker.port).description
    }

    // MARK: Changes

    /// Workers that are away lose their devices and chats.
    private func apply(_ found: [RegistryChange], now: Double) {
        changes += found
        for change in found {
            recordHistory(of: change, now: now)
            switch change {
            case .workerState(let name, let state, _) where state.isAway: lost(name, now: now)
            case .worker(let record) where record.state.isAway: lost(record.name, now: now)
            default: break
            }
        }
    }

    /// Another master serves: what this one knows of workers counts no longer.
    func retire(now: Double) { apply(directory.retire(now: now), now: now) }

    private func lost(_ worker: String, now: Double) {
        var deviceChanges: [DeviceChange] = []
        devices.workerLost(worker, now: now, &deviceChanges)
        record(deviceChanges)
        var chatChanges: [ChatChange] = []
        chats.workerLost(worker, now: now, &chatChanges)
        record(chatChanges)
        clientsLost(worker)
    }

    func record(_ event: EventRecord) { changes.append(.event(event)) }

    private func record(_ found: [DeviceChange]) { changes += found.map { .device($0) } }

    func record(_ found: [ChatChange]) { changes += found.map { .chat($0) } }

    private func allocate(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        if frame.name(in: start)?.elementsEqual(RoomBody.frameName.utf8) == true { return answerRoom(frame, connection, now: now) }
        if frame.format == .json, let value = frame.value(in: start) {
            return try allocate(DeviceAllocationBody(decoding: value), frame, connection, now: now)
        }
        guard isServing else { return try allocateAsStandby(AllocationRequest(decoding: frame.value(in: start)), frame, connection, now: now) }
        if let given = peers[connection]?.given { directory.release(given.worker, given.at) }
        guard let first = directory.nextWorker() else { throw ShuntError(.workerNone, "not found server") }
        // A list must be made before the client counts, which may move the first.
        switch AllocationRequest(decoding: frame.value(in: start)) {
        case .all: answer(frame, connection, directory.allocationList)
        case .one: answer(frame, connection, first)
        }
        peers[connection]?.given = (first, directory.give(first, now: now))
    }

    // MARK: Answers

    func acknowledge(_ frame: FrameView, _ connection: ConnectionID) {
        actions.append(.send(connection, Frame(acknowledging: frame.id).encoded()))
    }

    func answer(_ frame: FrameView, _ connection: ConnectionID, _ text: String) {
        actions.append(.send(connection, Frame(acknowledging: frame.id, text: text).encoded()))
    }

    func tell(_ connection: ConnectionID, _ chat: String, _ key: MasterChatKey, _ text: String, now: Double) {
        actions.append(.send(connection, Frame(.chat, id: ids.next(now: now), text: text, name: chat, key: key.rawValue).encoded()))
    }

    func refuse(_ frame: FrameView, _ connection: ConnectionID, _ error: ShuntError) { refuse(frame.id, connection, error) }

    func refuse(_ id: Int64, _ connection: ConnectionID, _ error: ShuntError) {
        actions.append(.send(connection, Frame(acknowledging: id, error).encoded()))
    }

    private func refuse(_ refusal: StreamRefusal, _ connection: ConnectionID) {
        if !refusal.answer.isEmpty { actions.append(.send(connection, refusal.answer)) }
        close(connection, refusal.code)
    }

    func close(_ connection: ConnectionID, _ code: ErrorCode) {
        closing.insert(connection)
        actions.append(.close(connection, code))
    }
}
