import ShuntCore

/// What a device session's row becomes.
enum DeviceUpdate: RowUpdate {
    struct Key: Hashable, Comparable {
        var uid: ExactText
        var device: ExactText

        init(_ uid: String, _ device: String) { (self.uid, self.device) = (ExactText(uid), ExactText(device)) }

        static func < (one: Key, other: Key) -> Bool { (one.uid, one.device) < (other.uid, other.device) }
    }

    case put(DeviceRecord)
    case left(at: Double)
    case removed

    var worker: String? {
        guard case .put(let record) = self, record.isOnline else { return nil }
        return record.worker
    }

    func followed(by newer: DeviceUpdate) -> DeviceUpdate {
        guard case .left(let time) = newer else { return newer }
        return switch self {
        case .put(let record): .put(record.offline(at: time))
        case .left: newer
        case .removed: self
        }
    }

    func followedByLoss(at time: Double) -> DeviceUpdate {
        guard case .put(let record) = self else { return self }
        return .put(record.offline(at: time))
    }
}

extension PendingRows<DeviceUpdate> {
    mutating func add(_ change: DeviceChange) {
        switch change {
        case .device(let record): add(.put(record), to: .init(record.uid, record.device))
        case .left(let uid, let device, let time): add(.left(at: time), to: .init(uid, device))
        case .removed(let uid, let device): add(.removed, to: .init(uid, device))
        case .workerLost(let worker, let time): lose(worker, at: time)
        }
    }
}

extension DeviceRecord {
    fileprivate func offline(at time: Double) -> DeviceRecord {
        var record = self
        record.isOnline = false
        record.lastSeenAt = time
        return record
    }
}
