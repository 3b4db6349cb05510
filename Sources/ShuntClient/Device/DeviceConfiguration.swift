import ExchangeCodec
import ShuntCore

/// The settings of a device session.
public struct DeviceConfiguration: Equatable, Sendable {
    /// Where servers are found.
    public var route: ClientRoute
    /// The user whose device it is.
    public var uid: String
    /// The device's name. Of one uid and device name only the latest registration counts.
    public var device: String
    /// Tags by which broadcasts may select it.
    public var tags: [String]
    /// Other names by which broadcasts may select it.
    public var alias: [String]
    /// How connections are made.
    public var connection: ConnectionOptions
    /// How long to look for a worker after one was lost, before the session ends.
    public var returnPatience: Duration
    /// Notifications that may wait for the application. At this number the session stops reading from the worker.
    public var bufferedMessages: Int
    /// The same in bytes. One notification may cross it.
    public var bufferedBytes: Int

    /// The settings of a session of this device.
    public init(
        route: ClientRoute, uid: String, device: String, tags: [String] = [], alias: [String] = [],
        connection: ConnectionOptions = ConnectionOptions(), returnPatience: Duration = .seconds(300),
        bufferedMessages: Int = 4096, bufferedBytes: Int = 4 << 20
    ) {
        self.route = route
        self.uid = uid
        self.device = device
        self.tags = tags
        self.alias = alias
        self.connection = connection
        self.returnPatience = returnPatience
        self.bufferedMessages = bufferedMessages
        self.bufferedBytes = bufferedBytes
    }

    func check() throws(ShuntError) {
        try route.check()
        if uid.isEmpty { throw ShuntError(.deviceInvalid, "the uid is empty", help: "whose device is it?") }
        if device.isEmpty { throw ShuntError(.deviceInvalid, "the device's name is empty", help: "such as phone") }
    }

    /// - Throws: `usage` where the options say what the device's own names say already, or where 3.1.1 cannot carry them.
    func sessionSettings(_ broker: HostPort, _ options: MQTTOptions) throws(ShuntError) -> MQTTSession<MQTTTicket>.Settings {
        var options = options
        guard options.clientID ?? device == device, options.userName ?? uid == uid else {
            throw ShuntError(
                .usage, "a client id or user name of its own", help: "over MQTT a device's client id is its name, and its user name the uid")
        }
        guard options.version.hasProperties || (tags.isEmpty && alias.isEmpty) else {
            throw ShuntError(.usage, "MQTT 3.1.1 carries no tags and no alias", help: "5.0 does")
        }
        options.clientID = device
        options.userName = uid
        options.userProperties += tags.map { UserProperty("tag", $0) } + alias.map { UserProperty("alias", $0) }
        try options.check()
        var settings = options.settings(
            broker, connection, returnPatience: returnPatience, endsWithPatience: true, buffered: bufferedMessages)
        settings.subscription = options.subscription([NotifyBody.mqttTopic])
        return settings
    }

    /// - Parameter milliseconds: since 1970.
    func sessionSettings(at milliseconds: Int64) -> WorkerSession<SendTicket>.Settings {
        let registration = Frame.register(
            id: 0, RegisterBody(uid: uid, device: device, tags: tags, alias: alias, createdTime: milliseconds))
        return WorkerSession.Settings(
            greeting: [.init(frame: registration)], patience: connection.patience, returnPatience: returnPatience,
            backoff: connection.backoff, returns: false, resends: false)
    }
}

extension NotifyBody {
    /// The topic of broadcasts at an MQTT listener.
    static let mqttTopic = "$shunt/notify"
}

/// An event of a device's connection.
public enum DeviceEvent: Equatable, Sendable {
    /// Connected and registered; `isBack` if it had been before.
    case registered(HostPort, isBack: Bool)
    /// The worker is lost; the session goes on trying.
    case lost(HostPort, ShuntError)
    /// The worker has sent the device to another one.
    case redirected(from: HostPort, to: HostPort)
}
