extension Configuration {
    /// `chat:`, the chats of a worker.
    public struct Chat: Equatable, Sendable {
        /// Members of one chat.
        public var members = 2
        /// A member who lost the connection keeps its place for so long.
        public var rejoin = Duration.seconds(60)
        /// A chat in which nothing happens for so long is closed; 0: never.
        public var idle = Duration.seconds(3600)
    }

    /// `devices:`, what a master keeps of devices.
    public struct Devices: Equatable, Sendable {
        /// A device that has left is remembered for so long.
        public var keep = Duration.seconds(86_400)
        /// Bytes that devices may take of the master's memory.
        public var memory = 1 << 30
    }
}
