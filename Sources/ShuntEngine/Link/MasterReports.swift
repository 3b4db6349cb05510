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
    }

    /// Changes by name: only the newest of a device or chat counts.
    private struct DeviceName: Hashable {
        var uid: String
        var device: String
    }

    private enum DeviceChange {
        case registered(DeviceBatchBody.Registered)
        case left(DeviceBatchBody.Left)
    }

    private enum ChatChange {
        case held(ChatReportBody.Chat)
        case closed(ChatReportBody.Closed)
    }

    private let worker: WorkerSource
    private var mode = Mode.idle
    private var isShunt = false
    private var devices: [DeviceName: DeviceChange] = [:]
    private var chats: [String: ChatChange] = [:]
    /// Counts the masters that were joined: an answer to an earlier question is not one to this.
    public private(set) var round = 0

    public init(worker: WorkerSource) { self.worker = worker }

    /// A master has been joined.
    public mutating func begin(isShunt: Bool, loops: Int) {
        self.isShunt = isShunt
        round += 1
        devices = [:]
        chats = [:]
        mode = .gathering(loops)
    }

    /// The master has gone.
    public mutating func end() {
        mode = .idle
        devices = [:]
        chats = [:]
    }

    /// Something has changed.
    public mutating func add(_ message: MasterMessage) {
        guard mode != .idle else { return }
        switch message {
        case .registered(let device):
            devices[DeviceName(uid: device.uid, device: device.device)] = .registered(.init(device))
        case .unregistered(let uid, let device, let registeredAt):
            let name = DeviceName(uid: uid, device: device)
            let at = Int64(registeredAt * 1_000_000)
            if case .registered(let newer)? = devices[name], newer.registeredAt > at { return }
            devices[name] = .left(.init(uid: uid, device: device, registeredAt: at))
        case .chat(.held(let chat)):
            chats[chat.chat] = .held(.init(chat))
        case .chat(.closed(let chat, let createdAt)):
            chats[chat] = .closed(.init(chat: chat, createdAt: Int64(createdAt * 1000)))
        case .askChat: break
        }
    }

    /// What a loop holds. What has changed there since it was asked is known here already.
    public mutating func add(devices held: [Device], chats open: [ChatSummary], round: Int) {
        guard round == self.round, case .gathering(let missing) = mode else { return }
        for device in held {
            let name = DeviceName(uid: device.uid, device: device.device)
            if devices[name] == nil { devices[name] = .registered(.init(device)) }
        }
        for chat in open where chats[chat.chat] == nil { chats[chat.chat] = .held(.init(chat)) }
        mode = .gathering(missing - 1)
    }

    /// What is to be sent now. Called about ten times a second, so that a storm of devices makes few frames.
    public mutating func take() -> [Report] {
        switch mode {
        case .idle: return []
        case .gathering(let missing) where missing > 0: return []
        case .gathering:
            mode = .running
            return reports(isFull: true)
        case .running: return devices.isEmpty && chats.isEmpty ? [] : reports(isFull: false)
        }
    }

    private mutating func reports(isFull: Bool) -> [Report] {
        defer {
            devices = [:]
            chats = [:]
        }
        return isShunt ? batches(isFull: isFull) : singles()
    }

    private func batches(isFull: Bool) -> [Report] {
        var batch = DeviceBatchBody(worker: worker, isFirst: isFull, isLast: isFull)
        for change in devices.values {
            switch change {
            case .registered(let one): batch.registered.append(one)
            case .left(let one): batch.left.append(one)
            }
        }
        var report = ChatReportBody(worker: worker, isFirst: isFull, isLast: isFull)
        for change in chats.values {
            switch change {
            case .held(let one): report.chats.append(one)
            case .closed(let one): report.closed.append(one)
            }
        }
        var reports: [Report] = []
        if isFull || !devices.isEmpty {
            reports += batch.split().map { Report(type: .register, body: $0.encoded(), name: DeviceBatchBody.frameName) }
        }
        if isFull || !chats.isEmpty {
            reports += report.split().map {
                Report(type: .chat, body: $0.encoded(), name: ChatReportBody.frameName, key: ChatReportBody.frameKey)
            }
        }
        return reports
    }

    /// §9.4: the device's own object, with where it is.
    private func singles() -> [Report] {
        devices.values.compactMap { change in
            guard case .registered(let one) = change else { return nil }
            let body = RegisterBody(
                uid: one.uid, device: one.device, tags: one.tags, alias: one.alias, createdTime: one.connectedAt, address: one.address,
                workerHost: worker.host, workerPort: worker.port)
            return Report(type: .register, body: body.encoded())
        }
    }
}

extension DeviceBatchBody.Registered {
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
