extension Configuration {
    /// `log:`, the log on standard error.
    public struct Log: Equatable, Sendable {
        public var level: Level
        /// Levels of subsystems that log more or less than `level`.
        public var levels: [Subsystem: Level]
        public var format: Format

        public init(level: Level = .info, levels: [Subsystem: Level] = [:], format: Format = .auto) {
            self.level = level
            self.levels = levels
            self.format = format
        }

        /// The level of this subsystem.
        public func level(of subsystem: Subsystem) -> Level {
            levels[subsystem] ?? level
        }

        /// The levels of swift-log, by its names.
        public enum Level: String, CaseIterable, Sendable {
            case trace, debug, info, notice, warning, error, critical
        }

        public enum Subsystem: String, CaseIterable, Sendable {
            case master, worker, rules, registry, link, listener, access, admin
        }

        public enum Format: String, CaseIterable, Sendable {
            /// Text on a terminal, JSON elsewhere.
            case auto
            case text
            case json
        }
    }
}
