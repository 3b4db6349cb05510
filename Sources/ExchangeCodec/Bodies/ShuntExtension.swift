import ShuntCore

/// The fields that Shunt's workers add to a heartbeat, under the key `shunt`. Java masters ignore them.
///
/// Figures that message-channel does not have or does not count are in it on the wire; here they are in the heartbeat's figures.
public struct ShuntExtension: Equatable, Sendable {
    /// The most listeners that a worker can tell: the master keeps them for every worker.
    public static let maximumListeners = 64

    /// The version of the software: `0.1.0`.
    public var version: String
    /// Names this run of the worker, so that a master sees a restart.
    public var boot: String
    /// Address by listener name.
    public var listeners: [String: String]
    public var loops: Int
    /// Whether the worker takes no new clients. A state that this version does not know is read as live.
    public var isDraining: Bool

    /// Milliseconds between its heartbeats; 0 if it does not say.
    public var interval: Int
    /// The name that its operator has given it (`worker.name`); empty if it does not say.
    public var name: String
    /// The worst of its stuck consumers, as its log names them; at most `maximumStuck`.
    public var stuck: [String]
    public static let maximumStuck = 3
    /// How many more clients it takes; nil if it does not say.
    public var room: Int?
    /// Milliseconds since it started; nil if it does not say.
    public var uptime: Int?
    /// What happened of late; a master has heard of most of it before.
    public var events: [WorkerEvent] = []
    public static let maximumEvents = 16
    /// What it remembers of its cluster's masters.
    public var ballot = Ballot()

    public init(
        version: String, boot: String, listeners: [String: String] = [:], loops: Int = 1, isDraining: Bool = false, interval: Int = 0,
        name: String = "", stuck: [String] = [], room: Int? = nil, uptime: Int? = nil
    ) {
        self.version = version
        self.boot = boot
        self.listeners = listeners
        self.loops = loops
        self.isDraining = isDraining
        self.interval = interval
        self.name = name
        self.stuck = stuck
        self.room = room
        self.uptime = uptime
    }

    init?(heartbeat: LenientObject) throws(ShuntError) {
        guard let object = try heartbeat.object("shunt") else { return nil }
        self.init(
            version: try object.string("version") ?? "", boot: try object.string("boot") ?? "",
            listeners: try Self.listeners(in: object), loops: try object.count("loops"),
            isDraining: try object.string("state") == "draining", interval: try object.count("interval"),
            name: try object.string("name") ?? "", stuck: Array(try object.strings("stuck")?.prefix(Self.maximumStuck) ?? []),
            room: try object.integer("room").map { Int(max(0, $0)) }, uptime: try object.integer("uptime").map { Int(max(0, $0)) })
        ballot = try Ballot(heartbeat: object)
        for element in try object.array("events")?.prefix(Self.maximumEvents) ?? [] {
            guard case .object(let one) = element, let number = try one.integer("number"), let at = try one.integer("at"),
                let kind = try one.string("kind").flatMap(EventRecord.Kind.init), WorkerEvent.kinds.contains(kind)
            else { continue }
            let detail = PrintableText.of(String((try one.string("detail") ?? "").prefix(Self.maximumDetail)))
            events.append(WorkerEvent(number: number, at: Double(at) / 1000, kind: kind, detail: detail))
        }
    }

    private static let maximumDetail = 1000

    static func listeners(in object: LenientObject) throws(ShuntError) -> [String: String] {
        guard let addresses = try object.object("listeners") else { return [:] }
        guard addresses.members.count <= maximumListeners else {
            throw ShuntError(
                .requestInvalid, "'listeners' has too many members", at: "heartbeat", help: "at most \(maximumListeners)")
        }
        var listeners: [String: String] = [:]
        for member in addresses.members where member.value != .null {
            listeners[member.key] = try addresses.text(of: member.value, key: member.key)
        }
        return listeners
    }

    func write(to json: inout JSONWriter, figures: WorkerFigures) {
        json.member("shunt") { json in
            json.member("version", version)
            json.member("boot", boot)
            json.member("listeners") { json in
                for (name, address) in listeners.sorted(by: { $0.key < $1.key }) { json.member(name, address) }
            }
            json.member("loops", loops)
            json.member("subscriptions", figures.subscriptions)
            json.member("deliveries", figures.deliveries)
            json.member("state", isDraining ? "draining" : "live")
            if interval > 0 { json.member("interval", interval) }
            if !name.isEmpty { json.member("name", name) }
            if figures.heldProducers > 0 { json.member("held_producers", figures.heldProducers) }
            if figures.stuckConsumers > 0 { json.member("stuck_consumers", figures.stuckConsumers) }
            if !stuck.isEmpty { json.member("stuck", stuck) }
            if let room { json.member("room", room) }
            if let uptime { json.member("uptime", uptime) }
            if !events.isEmpty {
                json.member("events", objects: events) { json, event in
                    json.member("number", event.number)
                    json.member("at", Int64(event.at * 1000))
                    json.member("kind", event.kind.rawValue)
                    json.member("detail", event.detail)
                }
            }
            ballot.write(to: &json)
            figures.writeMQTT(to: &json)
        }
    }
}
