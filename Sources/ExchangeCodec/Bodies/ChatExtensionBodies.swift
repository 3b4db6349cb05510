import ShuntCore

/// The value of CREATE from Shunt's own clients: who joins, and what the client understands.
///
/// Java clients send the chat's id as a text instead. They show every CHAT frame as a text of another member,
/// so only a client that says so here is sent frames with the key `NOTICE`.
public struct ChatJoinBody: Equatable, Sendable {
    /// What the others may be shown.
    public var name: String?
    /// Whether the client takes frames with the key `NOTICE`.
    public var takesNotices: Bool

    /// The longest name, in bytes.
    public static let longestName = 256

    public init(name: String? = nil, takesNotices: Bool = true) {
        self.name = name
        self.takesNotices = takesNotices
    }

    /// - Throws: `chat.invalid` if this is not the object, or the name is too long.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        do {
            let object = try LenientJSON.object(in: bytes, subject: "CREATE body")
            self.init(name: try object.string("name"), takesNotices: try object.bool("notices") ?? false)
        } catch {
            throw ShuntError(.chatInvalid, error.message, at: error.location, help: error.help)
        }
        guard (name?.utf8.count ?? 0) <= Self.longestName else {
            throw ShuntError(.chatInvalid, "the member's name has too many bytes", help: "at most \(Self.longestName)")
        }
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("name", name)
            json.member("notices", takesNotices)
        }
    }
}

/// The value of a CHAT frame with the key `NOTICE`: what has happened to another member, or to the chat.
public struct ChatNoticeBody: Equatable, Sendable {
    /// `present` (was there before), `joined`, `left`, `rejoined`, `expired` (did not come back in time); `moved` to another worker;
    /// `replaced`: another connection of the same uid has taken the receiver's place.
    public var event: String
    /// Of the member that it is about; nil if that has none.
    public var uid: String?
    public var name: String?
    /// Where the chat has moved: `host:port`.
    public var to: String?
    /// Of one who is `present`: false where it is away and may come back. nil is true.
    public var isOnline: Bool?
    /// Of one who has `left`: it has given up its place.
    public var isForGood: Bool

    /// Empty texts are none.
    public init(
        event: String, uid: String? = nil, name: String? = nil, to: String? = nil, isOnline: Bool? = nil, isForGood: Bool = false
    ) {
        self.isOnline = isOnline
        self.isForGood = isForGood
        self.event = event
        self.uid = uid?.isEmpty == true ? nil : uid
        self.name = name?.isEmpty == true ? nil : name
        self.to = to
    }

    /// - Throws: `request.invalid` if this is not the object.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "chat notice")
        guard let event = try object.string("event") else { throw object.missing("event") }
        self.init(
            event: event, uid: try object.string("uid"), name: try object.string("name"), to: try object.string("to"),
            isOnline: try object.bool("online"), isForGood: try object.bool("for_good") ?? false)
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("event", event)
            json.member("uid", uid)
            json.member("name", name)
            json.member("to", to)
            if let isOnline { json.member("online", isOnline) }
            if isForGood { json.member("for_good", true) }
        }
    }
}

extension LenientObject {
    /// A boolean; `"true"` and `"false"` count as such.
    func bool(_ key: String) throws(ShuntError) -> Bool? {
        guard let value = self[key] else { return nil }
        switch value {
        case .bool(let bool): return bool
        case .string("true"): return true
        case .string("false"): return false
        default: throw mismatch(key, value, wanted: "true or false")
        }
    }
}
