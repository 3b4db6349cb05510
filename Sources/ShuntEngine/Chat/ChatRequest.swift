import ExchangeCodec
import ShuntCore

/// Who takes part in a chat.
public struct ChatMember: Equatable, Sendable {
    public var connection: ConnectionID
    /// What a member is known by again when it comes back on another connection; empty if it has not said.
    public var uid: String
    /// What the others may be shown; empty if it has not said.
    public var name: String
    /// Whether it takes frames with the key `NOTICE`: it has asked for them when it joined (`ChatJoinBody`).
    public var takesNotices: Bool

    /// Whether both have said who they are, and are the same.
    func isSame(as other: ChatMember) -> Bool { !uid.isEmpty && ExactText(uid) == ExactText(other.uid) }

    public init(_ connection: ConnectionID, uid: String = "", name: String = "", takesNotices: Bool = false) {
        self.connection = connection
        self.uid = uid
        self.name = name
        self.takesNotices = takesNotices
    }
}

/// A value as its sender packed it; never looked into.
public struct ChatPayload: Equatable, Sendable {
    public var bytes: [UInt8]
    public var format: PayloadFormat
    public var compression: PayloadCompression

    public init(_ bytes: [UInt8], format: PayloadFormat = .text, compression: PayloadCompression = .none) {
        self.bytes = bytes
        self.format = format
        self.compression = compression
    }

    public init(text: String) { self.init(Array(text.utf8)) }
}

/// What a client asks of a chat.
public struct ChatRequest: Equatable, Sendable {
    public var member: ChatMember
    /// For the answer.
    public var receipt: Receipt
    public var chat: String
    public var key: ChatKey
    public var payload: ChatPayload

    /// The chat's id, as chats are told apart.
    var name: ExactText { ExactText(chat) }

    /// The longest chat id, in bytes.
    public static let longestChat = 256

    public init(_ member: ChatMember, _ receipt: Receipt, chat: String, _ key: ChatKey, _ payload: ChatPayload = .init([])) {
        self.member = member
        self.receipt = receipt
        self.chat = chat
        self.key = key
        self.payload = payload
    }

    /// The chat id that a frame's name is.
    /// - Throws: `chat.invalid` if it is missing, empty, too long, no text, or has a NUL in it.
    public static func chat(_ name: Bytes?) throws(ShuntError) -> String {
        guard let name, !name.isEmpty else {
            throw ShuntError(
                .chatInvalid, "the chat frame has no chat id", help: "its name is the id, and its value is not empty")
        }
        guard name.count <= longestChat else {
            throw ShuntError(.chatInvalid, "the chat id has \(name.count) bytes", help: "1 to \(longestChat)")
        }
        // Repaired text would make one chat of two ids.
        guard let chat = String(validating: name, as: UTF8.self) else {
            throw ShuntError(.chatInvalid, "the chat id is not UTF-8")
        }
        // Others than Shunt take that for the text's end.
        guard !name.contains(0) else { throw ShuntError(.chatInvalid, "the chat id has a NUL in it") }
        return chat
    }
}
