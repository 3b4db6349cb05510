import ExchangeCodec
import ShuntCore

/// The settings of a chat session.
public struct ChatConfiguration: Equatable, Sendable {
    /// Where servers are found.
    public var route: ClientRoute
    /// The chat's id: 1 to 256 bytes.
    public var chat: String
    /// The member that joins; nil: a member without a name. It may not get its own place back after a loss.
    public var identity: ChatIdentity?
    /// How connections are made.
    public var connection: ConnectionOptions
    /// How long to look for the chat after its worker was lost, before the session ends. Workers keep a member's place
    /// for a minute, unless they are told otherwise (`chat.rejoin`).
    public var returnPatience: Duration
    /// Whether messages without acknowledgement are sent again after the connection was lost. true, at least once: they go out again, in
    /// order, when the session is back, and may arrive twice. false, at most once: their outcome is unknown.
    public var resends: Bool
    /// Events that may wait for the application. At this number the session stops reading from the worker, acknowledgements too.
    public var bufferedEvents: Int
    /// The same in bytes. One event may cross it.
    public var bufferedBytes: Int

    /// The settings of a session in this chat.
    public init(
        route: ClientRoute, chat: String, identity: ChatIdentity? = nil, connection: ConnectionOptions = ConnectionOptions(),
        returnPatience: Duration = .seconds(300), resends: Bool = true, bufferedEvents: Int = 4096, bufferedBytes: Int = 4 << 20
    ) {
        self.route = route
        self.chat = chat
        self.identity = identity
        self.connection = connection
        self.returnPatience = returnPatience
        self.resends = resends
        self.bufferedEvents = bufferedEvents
        self.bufferedBytes = bufferedBytes
    }

    func check() throws(ShuntError) {
        try route.check()
        guard (1...256).contains(chat.utf8.count) else {
            throw ShuntError(.chatInvalid, "the chat id has \(chat.utf8.count) bytes", help: "1 to 256")
        }
        guard let identity else { return }
        if identity.uid.isEmpty { throw ShuntError(.chatInvalid, "the member's uid is empty", help: "a name, or none at all") }
        if (identity.name?.utf8.count ?? 0) > ChatJoinBody.longestName {
            throw ShuntError(.chatInvalid, "the member's name is too long", help: "at most \(ChatJoinBody.longestName) bytes")
        }
    }

    var sessionSettings: WorkerSession<SendTicket>.Settings {
        var greeting: [WorkerSession<SendTicket>.Greeting] = []
        if let identity {
            // The worker knows a member again by the uid that its connection has registered.
            let registration = RegisterBody(uid: identity.uid, device: identity.device ?? ChatIdentity.device(for: chat))
            greeting.append(.init(frame: .register(id: 0, registration), isOptional: true))
        }
        greeting.append(
            .init(
                frame: Frame(
                    .chat, id: 0, format: .json, value: ChatJoinBody(name: identity?.name ?? identity?.uid).encoded(), name: chat,
                    key: ChatKey.create.rawValue)))
        return WorkerSession.Settings(
            greeting: greeting, patience: connection.patience, returnPatience: returnPatience, backoff: connection.backoff,
            returns: true, resends: resends)
    }
}

/// The identity of a member. A uid is one member of a chat: a connection that joins with the same uid takes that member's place.
public struct ChatIdentity: Equatable, Sendable {
    /// By which the member is known again when it comes back.
    public var uid: String
    /// The device that the connection registers as: broadcasts to the uid find it. nil: one of its own for each chat, so
    /// that a user in two chats has two devices, and leaves only one with either chat.
    public var device: String?
    /// The name that clients show the other members; nil: the uid.
    public var name: String?

    /// A member with this uid.
    public init(uid: String, device: String? = nil, name: String? = nil) {
        self.uid = uid
        self.device = device
        self.name = name
    }

    /// `chat-` and the chat's id. If the id is too long for a device's name: its beginning, and a hash of the whole id.
    static func device(for chat: String) -> String {
        let name = "chat-" + chat
        let longest = DeviceLimits().text
        guard name.utf8.count > longest else { return name }
        // FNV-1a.
        let hash = chat.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
        let suffix = "-" + String(hash, radix: 16)
        var start = name
        while start.utf8.count + suffix.utf8.count > longest { start.removeLast() }
        return start + suffix
    }
}
