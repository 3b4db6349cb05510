/// Which devices get a broadcast (exchange protocol §10.4). A field that is nil was not given.
///
/// No field given takes every device. A device is left out if one of its tags is in `filterTags` or one of its aliases in
/// `filterAlias`. It is taken only if `uid` and `device`, where given, are its own, and `matchTags` and `matchAlias`, where
/// given, share an element with its own; a device without tags shares none.
///
/// An empty list follows the same rule. An empty `matchTags` shares an element with no device: a list that a program computed and that came
/// out empty reaches nobody instead of everybody. An empty `filterTags` leaves nobody out. Texts are compared byte by byte.
public struct DeviceFilter: Equatable, Sendable {
    public var uid: String?
    public var device: String?
    public var matchTags: [String]?
    public var matchAlias: [String]?
    public var filterTags: [String]?
    public var filterAlias: [String]?

    /// Takes every device.
    public static let all = DeviceFilter()

    public init(
        uid: String? = nil, device: String? = nil, matchTags: [String]? = nil, matchAlias: [String]? = nil,
        filterTags: [String]? = nil, filterAlias: [String]? = nil
    ) {
        self.uid = uid
        self.device = device
        self.matchTags = matchTags
        self.matchAlias = matchAlias
        self.filterTags = filterTags
        self.filterAlias = filterAlias
    }

    public var isForAll: Bool { self == .all }

    /// - Throws: `filter.invalid` where a text is empty or too long, or a list is too long. An empty list is valid.
    public func validate(_ limits: DeviceLimits = .init()) throws(ShuntError) {
        for (field, text) in [("uid", uid), ("device", device)] {
            if let text { try limits.check(text, "the filter's \(field)", .filterInvalid) }
        }
        let lists = [
            ("match_tags", matchTags), ("match_alias", matchAlias), ("filter_tags", filterTags), ("filter_alias", filterAlias),
        ]
        for case (let field, let texts?) in lists {
            guard texts.count <= limits.filter else {
                throw ShuntError(
                    .filterInvalid, "the filter's \(field) has \(texts.count) elements", help: "at most \(limits.filter)")
            }
            for text in texts { try limits.check(text, "an element of the filter's \(field)", .filterInvalid) }
        }
    }

    /// Whether one device passes. `DeviceIndex` finds the same devices without asking each.
    public func matches(_ device: Device) -> Bool {
        func isEqual(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
        func shares(_ list: [String], _ own: [String]) -> Bool {
            list.contains { wanted in own.contains { isEqual($0, wanted) } }
        }
        if let filterTags, shares(filterTags, device.tags) { return false }
        if let filterAlias, shares(filterAlias, device.alias) { return false }
        if let uid, !isEqual(uid, device.uid) { return false }
        if let name = self.device, !isEqual(name, device.device) { return false }
        if let matchTags, !shares(matchTags, device.tags) { return false }
        if let matchAlias, !shares(matchAlias, device.alias) { return false }
        return true
    }
}
