import ShuntCore

/// What masters of one cluster tell each other: a BINDING frame with the name `masters` and this as JSON, which asks for the other's, the
/// acknowledgement's value.
public struct MasterStateBody: Equatable, Sendable {
    public static let frameName = "masters"

    /// Where workers and clients reach it, `host:port`.
    public var address: String
    /// The term in which it serves, or the last that it has heard of.
    public var term: Int64
    public var isServing: Bool
    /// The electorate's number in that term.
    public var version: Int64
    /// The workers in that electorate; nil where the other has them by that number, or does not serve.
    public var members: [String]?
    /// Workers for clients, the best first.
    public var workers: [String]
    /// How many workers it hears.
    public var voters = 0
    /// The electorate that it has of the master that it asks.
    public var known: Known?

    public struct Known: Equatable, Comparable, Sendable {
        public var term: Int64
        public var version: Int64

        public init(term: Int64, version: Int64) { (self.term, self.version) = (term, version) }

        public static func < (one: Known, other: Known) -> Bool { (one.term, one.version) < (other.term, other.version) }
    }

    /// How many workers for clients a master tells another at most.
    public static let maximumWorkers = 1024
    /// How many bytes of members a master tells another at most: the other takes frames of a megabyte.
    private static let largestMembers = 640 << 10

    public init(
        address: String, term: Int64, isServing: Bool, version: Int64 = 0, members: [String]? = nil, workers: [String] = [], known: Known? = nil
    ) {
        self.address = address
        self.term = term
        self.isServing = isServing
        self.version = version
        self.members = members
        self.workers = workers
        self.known = known
    }

    /// - Throws: `request.invalid` if this is not the object, or it lacks the address.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "masters")
        guard let address = try object.string("address"), HostPort(address) != nil else { throw object.missing("address") }
        self.init(
            address: address, term: max(0, try object.integer("term") ?? 0), isServing: try object.string("role") == "serving",
            version: max(0, try object.integer("version") ?? 0), members: try object.strings("members"),
            workers: Array(try object.strings("workers")?.prefix(Self.maximumWorkers) ?? []))
        voters = try object.count("voters")
        if let term = try object.integer("known_term"), let version = try object.integer("known_version") {
            known = Known(term: term, version: version)
        }
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("address", address)
            json.member("role", isServing ? "serving" : "standby")
            json.member("term", term)
            json.member("version", version)
            // A name has at most 255 bytes and a port; more members than fit are counted by what each worker says of itself.
            if let members, members.reduce(0, { $0 + $1.utf8.count + 3 }) <= Self.largestMembers { json.member("members", members) }
            if !workers.isEmpty { json.member("workers", Array(workers.prefix(Self.maximumWorkers))) }
            json.member("voters", voters)
            json.member("known_term", known?.term)
            json.member("known_version", known?.version)
        }
    }

    public func frame(id: Int64) -> Frame { Frame(.binding, id: id, format: .json, value: encoded(), name: Self.frameName) }

    /// The answer to the other's frame.
    public func answer(to id: Int64) -> Frame {
        var frame = Frame(acknowledging: id)
        (frame.format, frame.value, frame.name) = (.json, encoded(), Self.frameName)
        return frame
    }
}
