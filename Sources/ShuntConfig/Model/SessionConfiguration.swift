extension Configuration {
    /// `chat:`, the chats of a worker.
    public struct Chat: Equatable, Sendable {
        /// Members of one chat.
        public var members = 2
        /// How long a member that lost its connection keeps its place.
        public var rejoin = Duration.seconds(60)
        /// How long a chat without messages and joins stays open; 0: for ever.
        public var idle = Duration.seconds(3600)
    }

    /// `devices:`, the devices that a master keeps.
    public struct Devices: Equatable, Sendable {
        /// How long a device that has left is remembered.
        public var keep = Duration.seconds(86_400)
        /// Bytes that devices may take of the master's memory.
        public var memory = 1 << 30
    }
}
