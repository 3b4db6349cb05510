import ShuntCore

/// What kind of frame waits for a client, as far as it matters when the client is too slow.
public enum FrameKind: UInt8, Sendable {
    /// The client waits for it. It is no message, and is never dropped.
    case answer
    /// A message of a topic: may be dropped, and its producers may be held instead.
    case message
    /// A message of a broadcast or a chat: may be dropped; nobody is held for it.
    case notice
    /// A message that the client is owed until it acknowledges it: never dropped once it is queued.
    case assured

    public var mayDrop: Bool { self == .message || self == .notice }
    /// Whether its producers may be held while it waits.
    public var mayHold: Bool { self == .message || self == .assured }
    /// Counts as delivered once it is written.
    public var isMessage: Bool { self != .answer }
}

/// A frame at the start of some bytes, as a codec sees it.
public struct FrameExtent: Equatable, Sendable {
    /// Bytes of the whole frame, at least 1.
    public var length: Int
    public var kind: FrameKind

    public init(length: Int, kind: FrameKind) {
        self.length = length
        self.kind = kind
    }
}

/// How the bytes for a connection divide into frames. The connection's role decides which one it is.
public struct Framing: Sendable {
    /// Measures the frame that starts at the given bytes. The bytes hold at least that frame, as this side wrote it.
    public var measure: @Sendable (Bytes) -> FrameExtent

    public init(measure: @escaping @Sendable (Bytes) -> FrameExtent) { self.measure = measure }
}
