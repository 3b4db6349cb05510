import ShuntCore

/// An event of a chat, as one member sees it.
public enum ChatEvent: Equatable, Sendable {
    /// In the chat, at this worker, for the first time.
    case entered(HostPort)
    /// Another member has said something.
    case message(ChatMessage)
    /// A member has come.
    case joined(ChatPeer)
    /// A member has lost its connection, and may come back.
    case left(ChatPeer)
    /// A member that was away is back.
    case rejoined(ChatPeer)
    /// A member has not come back in time, and is no member any more.
    case expired(ChatPeer)
    /// The chat is at another worker; the session goes there by itself.
    case moved(to: HostPort)
    /// The worker is lost; the session looks for the chat by itself.
    case lost(HostPort, ShuntError)
    /// In the chat again, after `lost` or `moved`.
    case reconnected(HostPort)
    /// A broadcast to the device that the member's connection is registered as.
    case notification(DeviceNotification)
    /// Another connection has joined with the same uid and has taken this member's place. The last event; the session fails then.
    case replaced
    /// Somebody has ended the chat, or the worker has. The last event.
    case closed
}

/// A message of another member.
public struct ChatMessage: Equatable, Sendable {
    /// The sender. The protocol does not name it, so it is known only while notices have told of exactly one other member.
    public var sender: ChatPeer?
    /// The payload as it came: still compressed if `compression` says so.
    public var payload: [UInt8]
    /// Text or JSON.
    public var format: PayloadFormat
    /// How the payload is compressed.
    public var compression: PayloadCompression

    /// A message of these parts.
    public init(
        sender: ChatPeer? = nil, payload: [UInt8], format: PayloadFormat = .text, compression: PayloadCompression = .none
    ) {
        self.sender = sender
        self.payload = payload
        self.format = format
        self.compression = compression
    }
}

/// Another member, as the worker names it.
public struct ChatPeer: Hashable, Sendable, CustomStringConvertible {
    /// The uid; nil if it has registered none.
    public var uid: String?
    /// The name that it wants to be shown; nil if it has given none.
    public var name: String?

    /// A member with this uid and name.
    public init(uid: String? = nil, name: String? = nil) {
        self.uid = uid
        self.name = name
    }

    /// The name, else the uid, else `someone`.
    public var description: String { name ?? uid ?? "someone" }
}

extension ChatEvent: Delivered {
    var size: Int {
        switch self {
        case .message(let message): message.payload.count + 128
        case .notification(let notification): notification.size
        default: 128
        }
    }
}
