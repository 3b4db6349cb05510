import ShuntCore

/// The value of NOTIFY (§9.5): a text, and the filter of the devices that get it.
public struct NotifyBody: Equatable, Sendable {
    public var message: String?
    /// Devices of this user only.
    public var uid: String?
    /// Devices of this name only.
    public var device: String?
    /// Only devices with one of these tags.
    public var matchTags: [String]?
    /// Only devices with one of these aliases.
    public var matchAlias: [String]?
    /// No device with one of these tags.
    public var filterTags: [String]?
    /// No device with one of these aliases.
    public var filterAlias: [String]?

    public init(
        message: String? = nil, uid: String? = nil, device: String? = nil, matchTags: [String]? = nil,
        matchAlias: [String]? = nil, filterTags: [String]? = nil, filterAlias: [String]? = nil
    ) {
        self.message = message
        self.uid = uid
        self.device = device
        self.matchTags = matchTags
        self.matchAlias = matchAlias
        self.filterTags = filterTags
        self.filterAlias = filterAlias
    }

    /// Whether there is no filter: every live device gets it. Empty strings and arrays filter nothing.
    public var isForAll: Bool {
        [uid, device].allSatisfy { $0?.isEmpty ?? true }
            && [matchTags, matchAlias, filterTags, filterAlias].allSatisfy { $0?.isEmpty ?? true }
    }

    /// - Throws: `request.invalid` if this is not the object.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "NOTIFY body")
        // Other bodies ignore unknown members (§8). Here a misspelt member would send a message for a few devices to all.
        if let unknown = object.members.first(where: { member in !Self.members.contains { $0.equalsIgnoringCase(member.key) } }) {
            throw ShuntError(
                .filterInvalid, "'\(unknown.key.prefix(64))' is no member of a broadcast", at: "NOTIFY body",
                help: Self.members.dropFirst().joined(separator: ", "))
        }
        self.init(
            message: try object.string("message"), uid: try object.string("uid"), device: try object.string("device"),
            matchTags: try object.strings("match_tags"), matchAlias: try object.strings("match_alias"),
            filterTags: try object.strings("filter_tags"), filterAlias: try object.strings("filter_alias"))
    }

    private static let members = [
        "allEmpty", "uid", "device", "match_tags", "match_alias", "filter_tags", "filter_alias", "message",
    ]

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("allEmpty", isForAll)
            json.member("device", device)
            json.member("filter_alias", filterAlias)
            json.member("filter_tags", filterTags)
            json.member("match_alias", matchAlias)
            json.member("match_tags", matchTags)
            json.member("message", message)
            json.member("uid", uid)
        }
    }
}
