import CUV
import ShuntCore

/// Why a connection ended.
public enum CloseReason: Equatable, Sendable {
    /// The other side closed it.
    case byPeer
    /// This side closed it.
    case byUs(why: String)
    case failed(why: String)

    public static let processEnds = CloseReason.byUs(why: "the process ends")

    public var text: String {
        switch self {
        case .byPeer: "closed by the client"
        case .byUs(let why), .failed(let why): why
        }
    }
}

/// Why a connection is not read from.
public struct PauseReasons: OptionSet, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The ways to other loops are full.
    public static let mailbox = PauseReasons(rawValue: 1)
    /// A consumer of what it sends is slow.
    public static let slowConsumer = PauseReasons(rawValue: 2)
    /// It does not read its answers.
    public static let answers = PauseReasons(rawValue: 4)
    /// What it sends takes long: others have their turn.
    public static let turn = PauseReasons(rawValue: 8)
    /// It is not decided yet whether it is let in.
    public static let access = PauseReasons(rawValue: 16)
    /// It has sent as much as it may for now.
    public static let pace = PauseReasons(rawValue: 64)
    /// Its rules look something up.
    public static let rules = PauseReasons(rawValue: 128)
    /// Its transport waits for its turn to work.
    static let work = PauseReasons(rawValue: 32)
}

/// How a connection ends that is to close after writing.
struct Ending {
    /// The loop's clock when it closes at the latest, in seconds.
    var at: UInt32
    var reason: CloseReason
    /// Written bytes that the peer's system had not acknowledged when this was last looked at.
    var unacknowledged = Int32.max
}

/// How a congested connection drains.
final class Congestion {
    /// The loop's clock in milliseconds when `written` was last 0.
    var since: UInt64
    /// Bytes that the client has taken since then.
    var written = 0
    /// Bytes of answers that were queued since it began.
    var answers = 0
    var isStuck = false

    init(since: UInt64) { self.since = since }
}

/// One TCP connection. Belongs to its loop: touched on that loop's thread alone.
public final class Connection {
    public let id: ConnectionID
    /// What the listener or connector that made it was for.
    public let role: Role
    let descriptor: Int32
    let poll: UnsafeMutablePointer<uv_poll_t>

    /// What stands between socket and frames; nil for plain TCP and Unix sockets.
    var layer: TransportLayer?

    var out = OutBuffer()
    // These fit behind the buffer's last byte: an idle connection is this object, libuv's handle, and nothing else.
    var isDirty = false
    var isWaitingToWrite = false

    /// A frame that has begun to arrive: a block of the loop's pool, only while there is one.
    var partial: UnsafeMutableRawPointer?
    var partialCount: UInt32 = 0
    var partialCapacity: UInt32 = 0
    /// The loop's clock when the unfinished frame began, in seconds; 0 when there is none.
    var partialSince: UInt32 = 0

    var state = State.open
    /// While it is draining: what the peer still sends is taken and thrown away, so that it gets all that was written.
    var lingers = false
    /// Why it is not read from at present.
    var pauses: PauseReasons = []
    /// The loop's clock when something was first written that the peer may not have acknowledged, in seconds; 0 when there is nothing.
    var unacknowledgedSince: UInt32 = 0
    /// The loop's clock when its acknowledgements were last looked at.
    var acknowledgementsReadAt: UInt32 = 0

    /// Only while its out-buffer is more than half full, and until it has drained below a quarter.
    var congestion: Congestion?

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

        /// The listener's or the outbound connection's.
        public var number: Int {
            switch self {
            case .accepted(let number), .outbound(let number): Int(number)
            }
        }
    }

    init(id: ConnectionID, role: Role, descriptor: Int32) {
        self.id = id
        self.role = role
        self.descriptor = descriptor
        poll = .allocate(capacity: 1)
    }

    deinit { poll.deallocate() }

    public var isOpen: Bool { state == .open }
    public var isReadingPaused: Bool { !pauses.isEmpty }
    public var isStuck: Bool { congestion?.isStuck ?? false }
    /// Bytes that wait to be written.
    public var waiting: Int { out.count }
    /// Messages among them.
    public var waitingMessages: Int { Int(out.messages) }
    /// The client's: its transport's word, else the socket's.
    public var remoteAddress: PeerAddress { layer?.remoteAddress ?? PeerAddress(remoteOf: descriptor) }
    /// The client's, where its transport has verified one.
    public var clientCertificate: ClientCertificate? { layer?.clientCertificate }
    /// The IP address of this end; empty if it has none.
    public var localHost: String { HostPort.of(descriptor, remote: false)?.host ?? "" }
}
