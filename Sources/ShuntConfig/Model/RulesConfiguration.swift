extension Configuration {
    /// `rules:`, the plugins that a worker runs.
    public struct Rules: Equatable, Sendable {
        /// The folder with the plugins' folders; relative to the working directory.
        public var directory = "plugins"
        public var enabled = Enabled.named([])
        /// The settings that a plugin's `on_load` gets, by the plugin's name. They may hold secrets: they are not for logs.
        public var settings: [String: ConfigValue] = [:]
        public var budget = Budget()
        /// Bytes that the Lua state of one loop may hold.
        public var stateMemory = 64 << 20
        public var delay = Delay()
        /// The topic that gets messages which have come to nothing; empty: none does.
        public var deadLetter = ""

        public init() {}

        public enum Enabled: Equatable, Sendable {
            /// Every plugin in the directory.
            case all
            case named([String])
        }

        /// What `route.delay` may keep, in all loops of a worker together.
        public struct Delay: Equatable, Sendable {
            public var messages = 10_000
            public var bytes = 16 << 20
        }

        /// The limits of one call of a hook; a rule's own `budget` can ask for less.
        public struct Budget: Equatable, Sendable {
            public var time = Duration.milliseconds(2)
            /// Bytes that a call may add to the state.
            public var memory = 1 << 20
        }
    }
}
