public import ShuntCore

extension Configuration {
    /// `rules:`, the plugins that a worker runs.
    public struct Rules: Equatable, Sendable {
        /// The folder with the plugins' folders; relative to the working directory.
        public var directory = "plugins"
        public var enabled = Enabled.named([])
        /// The settings that a plugin's `on_load` gets, by the plugin's name. They may hold secrets: they are not for logs.
        public var settings: [String: ConfigValue] = [:]
        /// What plugins' rules may look up while a client waits, by the plugin's name.
        public var lookups: [String: Lookups] = [:]
        public var budget = Budget()
        /// Bytes that the Lua state of one loop may hold.
        public var stateMemory = 64 << 20
        public var delay = Delay()
        /// The topic that gets messages which have come to nothing; empty: none does.
        public var deadLetter = ""

        /// Whether what rules log, and their errors, may repeat payloads.
        public var logPayloads = false
        /// Plugins of the directory that do not run, where `enabled` is `all`.
        public var disabled: [String] = []
        /// Whether changed files are taken on without a signal.
        public var watch = false
        /// Whether a plugin's tests are run before a changed version of it takes over.
        public var tests = true
        public var `guard` = Guard()
        /// By the plugin's name.
        public var trials: [String: Trial] = [:]

        public init() {}

        public enum Enabled: Equatable, Sendable {
            /// Every plugin in the directory.
            case all
            case named([String])
        }

        /// What the rule of a plugin may look up.
        public struct Lookups: Hashable, Sendable {
            /// Whom it may ask by HTTP: `LookupHost`s.
            public var hosts: [String] = []
            /// What it may resolve besides: `LookupName`s.
            public var names: [String] = []
            /// What one look-up may take.
            public var timeout = Duration.seconds(2)
            /// What one call may wait, all of its look-ups together.
            public var wait = Duration.seconds(5)
            /// Requests under way, of each loop.
            public var atOnce = 64
            /// Bytes of an answer.
            public var answer = 64 << 10
            /// A file with PEM; empty: the system's authorities.
            public var authorities = ""

            public init() {}
        }

        /// What `route.delay` may keep, in all loops of a worker together.
        public struct Delay: Equatable, Sendable {
            public var messages = 10_000
            public var bytes = 16 << 20
        }

        /// When a version goes that is worse than the one before.
        public struct Guard: Equatable, Sendable {
            public var window = Duration.seconds(60)
            public var calls = 100
            /// Of 100 calls.
            public var errors = 1
            public var slower = 3
        }

        /// A plugin whose decisions are not applied, or for some clients only.
        public struct Trial: Equatable, Sendable {
            public enum Mode: String, CaseIterable, Sendable {
                case shadow, canary, live
            }

            public var mode = Mode.shadow
            /// Of another version, which runs beside the plugin; empty: the plugin itself.
            public var directory = ""
            /// Of 100 clients.
            public var share = 5
            public var uids: [String] = []
            public var addresses: [AddressRange] = []
        }

        /// The limits of one call of a hook; a rule's own `budget` can ask for less.
        public struct Budget: Equatable, Sendable {
            public var time = Duration.milliseconds(2)
            /// Bytes that a call may add to the state.
            public var memory = 1 << 20
        }
    }
}
