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
        self.init(
            message: try object.string("message"), uid: try object.string("uid"), device: try object.string("device"),
            matchTags: try object.strings("match_tags"), matchAlias: try object.strings("match_alias"),
            filterTags: try object.strings("filter_tags"), filterAlias: try object.strings("filter_alias"))
    }

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
