import ShuntCore

/// Where each device session is kept, by uid and then by device: most users have one device, and a question is about all devices of a user.
struct DeviceNames: Sendable {
    struct Name: Hashable, Sendable {
        var uid: ExactText
        var device: ExactText

        init(_ uid: String, _ device: String) { (self.uid, self.device) = (ExactText(uid), ExactText(device)) }
    }

    private struct Devices: Sendable {
        /// One without a dictionary.
        var first: (device: ExactText, place: UInt32)?
        var others: [ExactText: UInt32] = [:]

        subscript(device: ExactText) -> UInt32? { first?.device == device ? first?.place : others[device] }
        var isEmpty: Bool { first == nil && others.isEmpty }
    }

    private var uids: [ExactText: Devices] = [:]
    private(set) var count = 0

    subscript(name: Name) -> UInt32? { uids[name.uid]?[name.device] }

    /// Of all devices of a user.
    func places(of uid: String) -> [UInt32] {
        guard let devices = uids[ExactText(uid)] else { return [] }
        return (devices.first.map { [$0.place] } ?? []) + devices.others.values
    }

    /// The name must be new.
    mutating func insert(_ name: Name, _ place: UInt32) {
        count += 1
        if uids[name.uid] == nil { uids[name.uid] = Devices() }
        if uids[name.uid]?.first == nil {
            uids[name.uid]?.first = (name.device, place)
        } else {
            uids[name.uid]?.others[name.device] = place
        }
    }

    /// The name must be there.
    mutating func remove(_ name: Name) {
        count -= 1
        if uids[name.uid]?.first?.device == name.device {
            uids[name.uid]?.first = nil
        } else {
            uids[name.uid]?.others[name.device] = nil
        }
        if uids[name.uid]?.isEmpty == true { uids[name.uid] = nil }
    }
}
