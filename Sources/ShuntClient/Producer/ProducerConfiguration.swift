/// The settings of a producer.
public struct ProducerConfiguration: Equatable, Sendable {
    /// Where servers are found.
    public var route: ClientRoute
    /// How connections are made.
    public var connection: ConnectionOptions
    /// How long to look for a worker after one was lost, before the messages that wait are given up. nil: `ConnectionOptions.patience`.
    public var returnPatience: Duration?
    /// Messages that may be without an answer at a time; a call that sends more waits. At least 1.
    public var window: Int
    /// The same in bytes of their frames. One message may cross it.
    public var windowBytes: Int
    /// Whether messages without an answer are sent again after the connection was lost. false, at most once: their outcome is reported as
    /// unknown. true, at least once: they go out again over the next connection, in order, and may arrive twice.
    public var resends: Bool
    /// A worker that answers nothing for so long, with messages waiting, is taken for dead.
    public var acknowledgementTimeout: Duration

    /// The settings of a producer.
    public init(
        route: ClientRoute, connection: ConnectionOptions = ConnectionOptions(), returnPatience: Duration? = nil,
        window: Int = 1000, windowBytes: Int = 8 << 20, resends: Bool = false,
        acknowledgementTimeout: Duration = .seconds(30)
    ) {
        self.route = route
        self.connection = connection
        self.returnPatience = returnPatience
        self.window = window
        self.windowBytes = windowBytes
        self.resends = resends
        self.acknowledgementTimeout = acknowledgementTimeout
    }
}
