import ShuntCore

/// The value of CREATE from Shunt's own clients: the member's name, and the extensions that the client understands.
///
/// Java clients send the chat's id as a text instead. They show every CHAT frame as a text of another member, so a worker sends frames with
/// the key `NOTICE` only to a client that asks for them here.
public struct ChatJoinBody: Equatable, Sendable {
    /// The name that a client may show the other members.
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

/// The value of a CHAT frame with the key `NOTICE`: an event of another member, or of the chat.
public struct ChatNoticeBody: Equatable, Sendable {
    /// `present` (was there before), `joined`, `left`, `rejoined`, `expired` (did not come back in time); `moved` to another worker;
    /// `replaced`: another connection of the same uid has taken the receiver's place.
    public var event: String
    /// The uid of the member; nil if the member has none.
    public var uid: String?
    public var name: String?
    /// The worker that the chat has moved to: `host:port`.
    public var to: String?
    /// For `present`: false if the member is away and may come back. nil means true.
    public var isOnline: Bool?
    /// For `left`: whether the member has given up its place.
    public var isForGood: Bool

    /// Empty texts count as nil.
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
    /// A boolean; `"true"` and `"false"` count as booleans.
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
