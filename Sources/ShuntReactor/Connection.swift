import CUV
import ShuntCore

/// Why a connection ended.
public enum CloseReason: Equatable, Sendable {
    /// The other side closed it.
    case byPeer
    /// This side closed it.
    case byUs(why: String)
    case failed(why: String)

    public var text: String {
        switch self {
        case .byPeer: "closed by the client"
        case .byUs(let why), .failed(let why): why
        }
    }
}

/// One TCP connection. Belongs to its loop: touched on that loop's thread alone.
public final class Connection {
    public let id: ConnectionID
    /// What the listener or connector that made it was for.
    public let role: Role
    let descriptor: Int32
    let poll: UnsafeMutablePointer<uv_poll_t>
    unowned(unsafe) let loop: EventLoop

    var out = OutBuffer()
    /// A frame that has begun to arrive: a block of the loop's pool, only while there is one.
    var partial: UnsafeMutableRawPointer?
    var partialCount: UInt32 = 0
    var partialCapacity: UInt32 = 0
    /// The loop's clock when the unfinished frame began, in seconds; 0 when there is none.
    var partialSince: UInt32 = 0

    var isDirty = false
    var isWaitingToWrite = false
    public internal(set) var isReadingPaused = false
    var isCongested = false
    var state = State.open
    var closeAt: UInt32 = 0
    var closeReason: CloseReason?

    enum State: UInt8 {
        case open
        /// Nothing more is read; what waits is written, then it closes.
        case draining
        case closed
    }

    public enum Role: Equatable, Sendable {
        /// A client of the listener with this number.
        case accepted(listener: UInt16)
        /// Made by `connect` with this number.
        case outbound(UInt16)
    }

    init(id: ConnectionID, role: Role, descriptor: Int32, loop: EventLoop) {
        self.loop = loop
        self.id = id
        self.role = role
        self.descriptor = descriptor
        poll = .allocate(capacity: 1)
    }

    deinit { poll.deallocate() }

    public var isOpen: Bool { state == .open }
    /// Bytes that wait to be written.
    public var waiting: Int { out.count }
    public var remoteAddress: PeerAddress { PeerAddress(remoteOf: descriptor) }
    /// The IP address of this end; empty if it has none.
    public var localHost: String { SocketAddress.of(descriptor, remote: false)?.host ?? "" }
}
