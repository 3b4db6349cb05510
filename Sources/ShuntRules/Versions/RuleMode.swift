import ShuntCore

/// Whether what a rule decides is applied.
public enum RuleMode: Equatable, Sendable {
    case live
    /// The rule runs and is measured; nothing that it decides is applied.
    case shadow
    /// Applied for some of the clients; for all others the rule is a shadow.
    case canary(RuleShare)

    public var name: String {
        switch self {
        case .live: "live"
        case .shadow: "shadow"
        case .canary: "canary"
        }
    }

    /// Whether there are clients for whom decisions are applied in this mode and not in the other.
    func reaches(beyond other: RuleMode) -> Bool {
        switch (self, other) {
        case (.shadow, _), (_, .live): false
        case (.live, _), (.canary, .shadow): true
        case (.canary(let share), .canary(let old)):
            share.percent > old.percent || !share.uids.isSubset(of: old.uids) || share.addresses.contains { !old.addresses.contains($0) }
        }
    }
}

/// The clients for whom a canary decides.
public struct RuleShare: Equatable, Sendable {
    /// Of 100 clients, how many; which ones depends on their uids alone, so that they stay the same.
    public var percent: Double
    public var uids: Set<String>
    public var addresses: [AddressRange]

    /// Where a rule's table says `mode = "canary"` and the configuration says nothing.
    public static let standard = 5.0

    public init(percent: Double = standard, uids: Set<String> = [], addresses: [AddressRange] = []) {
        (self.percent, self.uids, self.addresses) = (percent, uids, addresses)
    }

    /// - Parameter name: the rule's; other rules have other clients in their shares.
    func takes(_ peer: Peer, rule name: String) -> Bool {
        if uids.contains(peer.uid) { return true }
        let host = peer.host
        if !addresses.isEmpty, let address = PeerAddress(host: host), addresses.contains(where: { $0.contains(address) }) { return true }
        guard percent > 0 else { return false }
        // A client without a uid is known by its identifier, or else by its address.
        let client = peer.mqtt?.clientID ?? ""
        let key = !peer.uid.isEmpty ? peer.uid : !client.isEmpty ? client : host
        return Double(RuleDigest(name, key).value % 10_000) < percent * 100
    }
}

extension Peer {
    /// Its address without the port.
    var host: String {
        guard let colon = address.lastIndex(of: ":") else { return address }
        return address[..<colon].trimmingCharacters(in: "[]")
    }
}

extension Substring {
    fileprivate func trimmingCharacters(in characters: String) -> String {
        String(drop { characters.contains($0) }.reversed().drop { characters.contains($0) }.reversed())
    }
}

/// A plugin on trial, as the configuration names it.
public struct RuleTrial: Equatable, Sendable {
    public var mode: RuleMode
    /// The folder of another version, which runs beside the plugin of that name; nil: the plugin itself is on trial.
    public var directory: String?
    /// Of the other version; nil: the same as the plugin's.
    public var settings: SettingValue?

    public init(mode: RuleMode, directory: String? = nil, settings: SettingValue? = nil) {
        (self.mode, self.directory, self.settings) = (mode, directory, settings)
    }

    /// What is added to a plugin's name for the version beside it.
    public static let suffix = "@next"
}

/// A short digest of a rule's files and settings: it tells versions apart, and proves nothing.
public struct RuleDigest: Equatable, Sendable, CustomStringConvertible {
    public private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

    init(_ texts: String...) {
        for text in texts { add(text.utf8) }
    }

    /// FNV-1a, with the length, so that two texts are not one.
    mutating func add(_ bytes: some Sequence<UInt8>) {
        var count: UInt64 = 0
        for byte in bytes {
            value = (value ^ UInt64(byte)) &* 0x100_0000_01B3
            count += 1
        }
        value = (value ^ count) &* 0x100_0000_01B3
        value ^= value >> 29
    }

    public var description: String {
        let text = String(value & 0xFFFF_FFFF, radix: 16)
        return String(repeating: "0", count: 8 - text.count) + text
    }
}
