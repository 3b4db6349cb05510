import ShuntCore

/// A report of one of Shunt's workers to its master about its chats. It is the value of a CHAT frame with the key `REPORT` and the name
/// `chats`; Java masters get none.
public struct ChatReportBody: Equatable, Sendable {
    /// The name of the frame, since a key needs one.
    public static let frameName = "chats"
    /// The key of the frame.
    public static let frameKey = "REPORT"

    public struct Chat: Equatable, Sendable {
        public var chat: String
        /// By the worker's clock, milliseconds since 1970.
        public var createdAt: Int64
        public var members: Int

        public init(chat: String, createdAt: Int64, members: Int) {
            self.chat = chat
            self.createdAt = createdAt
            self.members = members
        }
    }

    public struct Closed: Equatable, Sendable {
        public var chat: String
        /// When the chat that is over was created. A master keeps a chat of the same id that was created later, even if it hears of that first.
        public var createdAt: Int64

        public init(chat: String, createdAt: Int64) {
            self.chat = chat
            self.createdAt = createdAt
        }
    }

    public var worker: WorkerSource
    /// A full list begins with this body: the worker has joined.
    public var isFirst: Bool
    /// A full list ends with this body: chats of this worker that the master has and the list has not are gone.
    public var isLast: Bool
    public var chats: [Chat]
    public var closed: [Closed]

    public init(worker: WorkerSource, isFirst: Bool = false, isLast: Bool = false, chats: [Chat] = [], closed: [Closed] = []) {
        self.worker = worker
        self.isFirst = isFirst
        self.isLast = isLast
        self.chats = chats
        self.closed = closed
    }

    /// - Throws: `request.invalid` if this is not the object, `chat.invalid` if a chat's id is missing or empty.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "chat report")
        self.init(
            worker: try WorkerSource(report: object), isFirst: try object.bool("first") ?? false,
            isLast: try object.bool("last") ?? false)
        for one in try Self.objects("chats", in: object) {
            chats.append(
                Chat(chat: try Self.id(of: one), createdAt: try one.integer("created") ?? 0, members: try one.count("members")))
        }
        for one in try Self.objects("closed", in: object) {
            closed.append(Closed(chat: try Self.id(of: one), createdAt: try one.integer("created") ?? 0))
        }
    }

    private static func objects(_ key: String, in object: LenientObject) throws(ShuntError) -> [LenientObject] {
        var objects: [LenientObject] = []
        for element in try object.array(key) ?? [] {
            guard case .object(let one) = element else { throw object.mismatch(key, element, wanted: "objects") }
            objects.append(one)
        }
        return objects
    }

    private static func id(of object: LenientObject) throws(ShuntError) -> String {
        guard let id = try object.string("id"), !id.isEmpty else { throw object.missing("id", code: .chatInvalid) }
        return id
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            worker.write(to: &json)
            if isFirst { json.member("first", true) }
            if isLast { json.member("last", true) }
            if !chats.isEmpty {
                json.member("chats", objects: chats) { json, one in
                    json.member("id", one.chat)
                    json.member("created", one.createdAt)
                    json.member("members", one.members)
                }
            }
            if !closed.isEmpty {
                json.member("closed", objects: closed) { json, one in
                    json.member("id", one.chat)
                    json.member("created", one.createdAt)
                }
            }
        }
    }

    /// The same report in as many bodies as the limits need, to be sent in order; one body if it fits.
    public func split(_ limits: ReportLimits = .init()) -> [ChatReportBody] {
        enum Item {
            case held(Chat)
            case closed(Closed)
        }
        let items = chats.map(Item.held) + closed.map(Item.closed)
        let stretches = limits.stretches(of: items) { item in
            switch item {
            case .held(let one): (80 + JSONWriter.size(of: one.chat), 4)
            case .closed(let one): (48 + JSONWriter.size(of: one.chat), 3)
            }
        }
        guard stretches.count > 1 else { return [self] }
        return stretches.enumerated().map { number, stretch in
            let isEnd = number == stretches.count - 1
            var part = ChatReportBody(worker: worker, isFirst: isFirst && number == 0, isLast: isLast && isEnd)
            for item in stretch {
                switch item {
                case .held(let one): part.chats.append(one)
                case .closed(let one): part.closed.append(one)
                }
            }
            return part
        }
    }
}
