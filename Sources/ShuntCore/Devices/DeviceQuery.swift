/// A filter in an index's terms, good until the index changes.
struct DeviceQuery {
    /// Where the devices that a filter may take are found.
    enum Source {
        case all
        case one(uid: UInt32, device: UInt32)
        /// Among the devices that have one of these terms.
        case anyOf([UInt32])
    }

    private var uid: UInt32?
    private var device: UInt32?
    private var matchTags: [UInt32]?
    private var matchAlias: [UInt32]?
    /// Tags and aliases that leave a device out.
    private var excluded: [UInt32]

    /// nil if no device can pass: no device has one of the terms that must match.
    init?(_ filter: DeviceFilter, _ terms: DeviceTerms) {
        if let text = filter.uid {
            guard let term = terms.find(.uid, text) else { return nil }
            uid = term
        }
        if let text = filter.device {
            guard let term = terms.find(.device, text) else { return nil }
            device = term
        }
        matchTags = filter.matchTags.map { Self.known(.tag, $0, terms) }
        matchAlias = filter.matchAlias.map { Self.known(.alias, $0, terms) }
        excluded = Self.known(.tag, filter.filterTags ?? [], terms) + Self.known(.alias, filter.filterAlias ?? [], terms)
        if matchTags?.isEmpty == true || matchAlias?.isEmpty == true { return nil }
    }

    /// The smallest set of devices that holds every device that passes.
    func source(_ terms: DeviceTerms) -> Source {
        if let uid, let device { return .one(uid: uid, device: device) }
        let candidates = [uid.map { [$0] }, device.map { [$0] }, matchTags, matchAlias].compactMap { $0 }
        func size(_ list: [UInt32]) -> Int { list.reduce(0) { $0 + terms.count(of: $1) } }
        return candidates.min { size($0) < size($1) }.map(Source.anyOf) ?? .all
    }

    @inline(__always)
    func accepts(_ entry: DeviceIndex.Entry) -> Bool {
        if let uid, entry.uid != uid { return false }
        if let device, entry.device != device { return false }
        if let matchTags, !matchTags.contains(where: entry.has) { return false }
        if let matchAlias, !matchAlias.contains(where: entry.has) { return false }
        return excluded.isEmpty || !excluded.contains(where: entry.has)
    }

    /// The terms of those texts that a device has, each once.
    private static func known(_ field: DeviceTerms.Field, _ texts: [String], _ terms: DeviceTerms) -> [UInt32] {
        var known: [UInt32] = []
        for text in texts {
            if let term = terms.find(field, text), !known.contains(term) { known.append(term) }
        }
        return known
    }
}
