import ExchangeCodec
import ShuntCore

/// What happens to the chats of a loop.
public enum ChatEvent: Equatable, Sendable {
    case request(ChatRequest)
    /// A rule says something in a chat; if it is not open here, nobody hears it.
    case announce(chat: String, ChatPayload)
    /// A member says more than one message with what it sent, by a rule; if the chat is not open here, nobody hears it.
    case said(chat: String, by: ChatPlace, ChatPayload)
    /// A client has registered under a uid.
    case named(ConnectionID, uid: String)
    /// A client's connection has gone.
    case left(ConnectionID)
    /// The master has answered `askMaster`, or could not be asked.
    case answer(chat: String, request: UInt64, ChatAssignment)
    /// The master says that another worker's chat of this id counts (the merge after a master was away).
    case moved(chat: String, to: String)
    /// An operator ends a chat.
    case close(chat: String)
    /// The worker drains: chats for whose members nothing is held go to another worker, at most so many. All do where it is forced, or end
    /// where there is no other worker.
    case moveAway(to: String?, limit: Int, isForced: Bool)
    case tick
}

/// A member of a chat, as it is known after it has come back on another connection.
public struct ChatPlace: Equatable, Sendable {
    var connection: ConnectionID
    /// Of its place in the chat, among all places of the loop's chats; 0: it has none yet.
    var number: UInt64
}

/// What a master answers about a chat.
public enum ChatAssignment: Equatable, Sendable {
    /// It is here: 200.
    case granted
    /// It is at the worker `host:port`: 307.
    case elsewhere(String)
    /// No master answered.
    case unavailable
}

/// What a loop's driver is to do about its chats.
public enum ChatAction: Equatable, Sendable {
    /// The request, a message of QoS 2, waits for the master. Nothing comes of it if its client goes first.
    case wait(ConnectionID, Receipt)
    /// The acknowledgement 200 without a body.
    case acknowledge(ConnectionID, Receipt)
    /// The same, once the master has confirmed all that it was told before.
    case acknowledgeConfirmed(ConnectionID, Receipt)
    case refuse(ConnectionID, Receipt, ShuntError)
    /// The acknowledgement 307 with `host:port` as its text.
    case redirect(ConnectionID, Receipt, to: String)
    /// A CHAT frame with a fresh id and the chat's id as its name.
    case deliver(ConnectionID, chat: String, ChatDeliveryKey, ChatPayload)
    /// Ask the master for a chat that is not here. Answered by `ChatEvent.answer` with the same number.
    case askMaster(request: UInt64, chat: String)
    case tellMaster(ChatNews)
    /// For hooks, events and the log.
    case report(ChatReport)
}

/// The key of a CHAT frame to a member.
public enum ChatDeliveryKey: String, Equatable, Sendable {
    /// A message of another member.
    case session = "SESSION"
    /// The chat is over.
    case destroy = "DESTROY"
    /// A JSON object (`ChatNotice`), only to members that have asked for notices.
    case notice = "NOTICE"
}

/// What a worker tells its master of its chats, so that the master knows them.
public enum ChatNews: Equatable, Sendable {
    /// The chat has opened here, or its number of members has changed.
    case held(ChatSummary)
    /// `createdAt` tells it from a later chat of the same id; of one that never opened it is the present time.
    case closed(chat: String, createdAt: Double)
}

/// A chat as a master knows it.
public struct ChatSummary: Equatable, Sendable {
    public var chat: String
    /// Seconds since 1970 by the worker's clock, in whole milliseconds: of two chats with one id the earlier one counts.
    public var createdAt: Double
    /// Present ones, and those that may still come back.
    public var members: Int

    public init(chat: String, createdAt: Double, members: Int) {
        self.chat = chat
        self.createdAt = createdAt
        self.members = members
    }
}

/// What has happened in a chat.
public enum ChatReport: Equatable, Sendable {
    case opened(chat: String, by: ChatMember)
    case joined(chat: String, ChatMember)
    case rejoined(chat: String, ChatMember)
    /// A member has lost its connection.
    case left(chat: String, ChatMember)
    /// A member has not come back in time; its place is free.
    case expired(chat: String, ChatMember)
    /// Messages were not held any longer: for this member, or for the first that would have come. Never told silently otherwise.
    case undelivered(chat: String, to: ChatMember?, messages: [ChatPayload])
    /// With its members, as they were.
    case closed(ChatView, ChatEnd)
}

/// Why a chat is over.
public enum ChatEnd: Equatable, Sendable {
    case destroyed(by: ChatMember)
    /// Nobody has sent or joined for `idle`.
    case idle
    /// All members have gone, and none came back.
    case deserted
    case closedByOperator
    /// The chat of this id at another worker counts.
    case moved(to: String)
}
