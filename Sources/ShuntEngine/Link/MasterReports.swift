import ExchangeCodec
import ShuntCore

/// What a worker tells its master of devices and chats: all that it holds when it has joined, then what changes, in batches.
///
/// A Java master is told of single devices as they register, and of no chats: it is asked for those.
public struct MasterReports: Sendable {
    public struct Report: Equatable, Sendable {
        public var type: FrameType
        public var body: [UInt8]
        public var name: String?
        public var key: String?
    }

    private enum Mode: Equatable {
        /// No master: the next one is told everything, so changes need not be kept.
        case idle
        /// The loops are asked for what they hold; this many have not answered.
        case gathering(Int)
        case running
        /// More sessions have ended than are kept for a master that takes its time: it is to be told all that is there instead.
        case overflowed
    }

    /// Changes by name: only the newest of a device or chat counts.
    private typealias DeviceName = DeviceNames.Name

    private enum DeviceChange {
        case registered(DeviceBatchBody.Registered)
        case left(DeviceBatchBody.Left)
        /// Between two reports: the master should know that it was there.
        case passed(DeviceBatchBody.Registered, DeviceBatchBody.Left)
    }

    /// A report that is still to be encoded.
    private enum Part {
        case devices(DeviceBatchBody)
        case chats(ChatReportBody)
        case device(RegisterBody)
    }

    private enum ChatChange {
        case held(ChatReportBody.Chat)
        case closed(ChatReportBody.Closed)
    }

    private let worker: WorkerSource
    private let limits: ReportLimits
    private var mode = Mode.idle
    /// Whether the master takes reports.
    public private(set) var isShunt = false
    private var devices: [DeviceName: DeviceChange] = [:]
    private var chats: [ExactText: ChatChange] = [:]
    /// To be sent, the first last. While there are any, changes are kept by name, so that a master which takes its time costs little.
    private var parts: [Part] = []
    /// Counts the masters that were joined: an answer to an earlier question is not one to this.
    public private(set) var round = 0

    public init(worker: WorkerSource, limits: ReportLimits = .init()) {
        self.worker = worker
        self.limits = limits
    }

    /// A master has been joined, or wants to know all again.
    public mutating func begin(isShunt: Bool, loops: Int) {
        self.isShunt = isShunt
        end()
        round += 1
        mode = .gathering(loops)
    }

    /// The master has gone.
    public mutating func end() {
        mode = .idle
        (ended, passedBytes) = (0, 0)
        devices = [:]
        chats = [:]
        parts = []
    }

    /// Something has changed.
    public mutating func add(_ message: MasterNews) {
        guard mode != .idle, mode != .overflowed else { return }
        switch message {
        case .registered(let device):
            devices[DeviceName(device.uid, device.device)] = .registered(.init(device))
        case .unregistered(let uid, let device, let registeredAt):
            let name = DeviceName(uid, device)
            ended += 1
            guard ended <= Self.endedCapacity else {
                // A master that takes no reports is not told of ends.
                if isShunt { overflow() } else { devices[name] = nil }
                return
            }
            let left = DeviceBatchBody.Left(uid: uid, device: device, registeredAt: Int64(registeredAt * 1_000_000))
            guard case .registered(let one)? = devices[name] else { return devices[name] = .left(left) }
            guard one.registeredAt <= left.registeredAt else { return }
            passedBytes += one.size
            // That it was there is worth telling while it costs little; that it has ended must be told.
            devices[name] = passedBytes <= Self.passedCapacity ? .passed(one, left) : .left(left)
        case .chat(.held(let chat)):
            chats[ExactText(chat.chat)] = .held(.init(chat))
        case .chat(.closed(let chat, let createdAt)):
            chats[ExactText(chat)] = .closed(.init(chat: chat, createdAt: Int64(createdAt * 1000)))
        case .askChat, .confirm, .clientsChanged: break
        }
    }

    /// Ends of sessions since the last report was made.
    private var ended = 0
    /// Ends that are kept for one report.
    static let endedCapacity = 10_000

    /// Bytes of the registrations that have ended since, and are told nevertheless.
    private var passedBytes = 0
    static let passedCapacity = 1 << 20

    /// Devices that have changed since the last report was made.
    var waitingDevices: Int { devices.count }

    private mutating func overflow() {
        mode = .overflowed
        devices = [:]
        chats = [:]
    }

    /// Whether the driver is to begin anew, with all that the loops hold.
    public var mustBeginAgain: Bool { mode == .overflowed && parts.isEmpty }

    /// What a loop holds. What has changed there since it was asked is known here already.
    public mutating func add(devices held: [Device], chats open: [ChatSummary], round: Int) {
        guard round == self.round, case .gathering(let missing) = mode else { return }
        for device in held {
            let name = DeviceName(device.uid, device.device)
            if devices[name] == nil { devices[name] = .registered(.init(device)) }
        }
        for chat in open where chats[ExactText(chat.chat)] == nil { chats[ExactText(chat.chat)] = .held(.init(chat)) }
        mode = .gathering(missing - 1)
    }

    /// Makes reports of what has gathered. Called about ten times a second, so that a storm of devices makes few frames.
    public mutating func gather() {
        guard parts.isEmpty else { return }
        switch mode {
        case .idle, .overflowed: return
        case .gathering(let missing) where missing > 0: return
        case .gathering:
            mode = .running
            makeParts(isFull: true)
        case .running: makeParts(isFull: false)
        }
    }

    /// The next report to send; nil when all that was gathered is sent. A full list is large: as fast as it is taken.
    public mutating func next() -> Report? {
        switch parts.popLast() {
        case .devices(let body): Report(type: .register, body: body.encoded(), name: DeviceBatchBody.frameName)
        case .chats(let body):
            Report(type: .chat, body: body.encoded(), name: ChatReportBody.frameName, key: ChatReportBody.frameKey)
        case .device(let body): Report(type: .register, body: body.encoded())
        case nil: nil
        }
    }

    /// Whether the master was told all that has changed; nothing is kept for one that is not there.
    public var isDrained: Bool {
        switch mode {
        case .idle: true
        case .gathering, .overflowed: false
        case .running: parts.isEmpty && devices.isEmpty && chats.isEmpty
        }
    }

    private mutating func makeParts(isFull: Bool) {
        (ended, passedBytes) = (0, 0)
        parts = isShunt ? batches(isFull: isFull).reversed() : singles()
        devices = [:]
        chats = [:]
    }

    private func batches(isFull: Bool) -> [Part] {
        var batch = DeviceBatchBody(worker: worker, isFirst: isFull, isLast: isFull)
        for change in devices.values {
            switch change {
            case .registered(let one): batch.registered.append(one)
            case .left(let one): batch.left.append(one)
            case .passed(let one, let end):
                batch.registered.append(one)
                batch.left.append(end)
            }
        }
        var report = ChatReportBody(worker: worker, isFirst: isFull, isLast: isFull)
        for change in chats.values {
            switch change {
            case .held(let one): report.chats.append(one)
            case .closed(let one): report.closed.append(one)
            }
        }
        var parts: [Part] = []
        if isFull || !devices.isEmpty { parts += batch.split(limits).map { .devices($0) } }
        if isFull || !chats.isEmpty { parts += report.split(limits).map { .chats($0) } }
        return parts
    }

    /// §9.4: the device's own object, with where it is.
    private func singles() -> [Part] {
        devices.values.compactMap { change in
            switch change {
            case .left: nil
            case .registered(let one), .passed(let one, _):
                .device(
                    RegisterBody(
                        uid: one.uid, device: one.device, tags: one.tags, alias: one.alias, createdTime: one.connectedAt,
                        address: one.address, workerHost: worker.host, workerPort: worker.port))
            }
        }
    }
}

extension DeviceBatchBody.Registered {
    /// Bytes, about.
    fileprivate var size: Int {
        (tags + alias).reduce(256 + uid.utf8.count + device.utf8.count + address.utf8.count) { $0 + 48 + $1.utf8.count }
    }

    fileprivate init(_ device: Device) {
        self.init(
            uid: device.uid, device: device.device, tags: device.tags, alias: device.alias, address: device.address.description,
            connectedAt: Int64(device.connectedAt * 1000), registeredAt: Int64(device.registeredAt * 1_000_000))
    }
}

extension ChatReportBody.Chat {
    fileprivate init(_ chat: ChatSummary) {
        self.init(chat: chat.chat, createdAt: Int64(chat.createdAt * 1000), members: chat.members)
    }
}
