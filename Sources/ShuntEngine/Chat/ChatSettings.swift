/// How the chats of a loop behave, and what they may take up. Each loop has as much.
public struct ChatSettings: Equatable, Sendable {
    /// Members of one chat, 2…64.
    public var members: Int
    /// Seconds that a member who lost the connection keeps the place.
    public var rejoin: Double
    /// Seconds without a message or a join after which a chat closes; 0: never.
    public var idle: Double
    /// Whether members that asked for notices get them.
    public var notices: Bool
    /// Whether a master assigns chats; a worker without masters decides alone.
    public var hasMasters: Bool
    /// Seconds that a master has to answer (§11.3).
    public var masterTimeout: Double
    public var limits: Limits

    public struct Limits: Equatable, Sendable {
        /// Chats of one loop, those that the master is being asked for included.
        public var chats: Int
        /// Chats of one loop that a connection is in.
        public var perConnection: Int
        /// Messages held for one absent member.
        public var heldMessages: Int
        /// Their bytes.
        public var heldBytes: Int
        /// Frames of one chat that wait for the master's answer.
        public var waiting: Int
        /// Bytes of all that is held and waits on one loop.
        public var memory: Int

        public init(
            chats: Int = 100_000, perConnection: Int = 1000, heldMessages: Int = 100, heldBytes: Int = 256 << 10,
            waiting: Int = 64, memory: Int = 64 << 20
        ) {
            self.chats = chats
            self.perConnection = perConnection
            self.heldMessages = heldMessages
            self.heldBytes = heldBytes
            self.waiting = waiting
            self.memory = memory
        }
    }

    public init(
        members: Int = 2, rejoin: Double = 60, idle: Double = 3600, notices: Bool = true, hasMasters: Bool = true,
        masterTimeout: Double = 2, limits: Limits = .init()
    ) {
        self.members = members
        self.rejoin = rejoin
        self.idle = idle
        self.notices = notices
        self.hasMasters = hasMasters
        self.masterTimeout = masterTimeout
        self.limits = limits
    }
}
