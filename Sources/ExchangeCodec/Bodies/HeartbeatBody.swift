import ShuntCore

/// The value of a worker's heartbeat, PING with the name `heartbeat` (§9.1).
public struct HeartbeatBody: Equatable, Sendable {
    /// The name of the PING frame.
    public static let frameName = "heartbeat"
    /// The `createdTime` of a worker of Shunt's that ends: Java masters take it for a worker that was silent for very long (§12.2).
    public static let signingOff: Int64 = 0

    /// Eight bytes in hexadecimal, with colons; empty if the worker does not say.
    public var machineID: String
    /// Empty if the worker has no name; the master then takes the source address of the connection.
    public var serverName: String
    public var serverPort: Int
    /// `subscriptions` and `deliveries` are always 0 from Java workers.
    public var figures: WorkerFigures
    /// Always 0 from Java workers.
    public var discardedConnections: Int
    /// The worker's clock when it sent this, milliseconds since 1970.
    public var createdTime: Int64
    public var updateTime: Int64?
    public var environment: Environment?
    public var connections: [HostPort]?
    /// Fields that only Shunt's workers send.
    public var shunt: ShuntExtension?

    /// The machine that a worker runs on. Java workers send none.
    public struct Environment: Equatable, Sendable {
        public var vmName: String?
        public var javaVersion: String?
        public var osArchitecture: String?
        public var osName: String?
        public var osVersion: String?

        public init(
            vmName: String? = nil, javaVersion: String? = nil, osArchitecture: String? = nil, osName: String? = nil,
            osVersion: String? = nil
        ) {
            self.vmName = vmName
            self.javaVersion = javaVersion
            self.osArchitecture = osArchitecture
            self.osName = osName
            self.osVersion = osVersion
        }
    }

    public init(
        machineID: String = "", serverName: String = "", serverPort: Int, figures: WorkerFigures = .init(),
        discardedConnections: Int = 0, createdTime: Int64, updateTime: Int64? = nil, environment: Environment? = nil,
        connections: [HostPort]? = nil, shunt: ShuntExtension? = nil
    ) {
        self.machineID = machineID
        self.serverName = serverName
        self.serverPort = serverPort
        self.figures = figures
        self.discardedConnections = discardedConnections
        self.createdTime = createdTime
        self.updateTime = updateTime
        self.environment = environment
        self.connections = connections
        self.shunt = shunt
    }
}

extension HeartbeatBody {
    /// Counts that are missing or negative are 0: Java workers count failed connections down twice (Q27).
    /// - Throws: `request.invalid` if this is not the object, or `server_port` or `created_time` is missing.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "heartbeat")
        guard let port = try object.port("server_port") else { throw object.missing("server_port") }
        guard let createdTime = try object.integer("created_time") else { throw object.missing("created_time") }
        self.init(
            machineID: try object.string("machine_id") ?? "", serverName: try object.string("server_name") ?? "",
            serverPort: port, figures: try WorkerFigures(heartbeat: object),
            discardedConnections: try object.count("discard_connection_ount"), createdTime: createdTime,
            updateTime: try object.integer("update_time"), environment: try Environment(heartbeat: object),
            connections: try HostPort.list("connection_list", in: object), shunt: try ShuntExtension(heartbeat: object))
    }

    /// The keys in the order of Java workers, and after these the keys that Java workers never send.
    public func encoded() -> [UInt8] {
        JSONWriter.object(.singleQuoted) { json in
            json.member("machine_id", machineID)
            json.member("server_name", serverName)
            json.member("server_port", serverPort)
            json.member("connection_count", figures.connections)
            json.member("max_connection_count", figures.connectionsAccepted)
            json.member("connection_error_count", figures.connectionErrors)
            json.member("discard_connection_ount", discardedConnections)
            json.member("request_total_count", figures.requests)
            json.member("request_total_bytes", figures.requestBytes)
            json.member("response_total_count", figures.responses)
            json.member("response_total_succeed_count", figures.responsesSucceeded)
            json.member("response_total_failed_count", figures.responsesFailed)
            json.member("response_total_time_ms", figures.responseMilliseconds)
            json.member("response_total_bytes", figures.responseBytes)
            json.member("subscriber_count", figures.subscriptions)
            json.member("subscriber_message_count", figures.deliveries)
            json.member("created_time", createdTime)
            json.member("update_time", updateTime)
            environment?.write(to: &json)
            if let connections { json.member("connection_list", objects: connections) { $1.write(to: &$0) } }
            shunt?.write(to: &json, figures: figures)
        }
    }
}

extension HeartbeatBody.Environment {
    init?(heartbeat: LenientObject) throws(ShuntError) {
        guard let object = try heartbeat.object("env") else { return nil }
        self.init(
            vmName: try object.string("java_vm_name"), javaVersion: try object.string("java_version"),
            osArchitecture: try object.string("os_arch"), osName: try object.string("os_name"),
            osVersion: try object.string("os_version"))
    }

    func write(to json: inout JSONWriter) {
        json.member("env") { json in
            json.member("java_vm_name", vmName)
            json.member("java_version", javaVersion)
            json.member("os_arch", osArchitecture)
            json.member("os_name", osName)
            json.member("os_version", osVersion)
        }
    }
}

extension WorkerFigures {
    /// Shunt's workers send subscriptions and deliveries in `shunt` too; these count.
    init(heartbeat object: LenientObject) throws(ShuntError) {
        let own = try object.object("shunt") ?? LenientObject(members: [], subject: "")
        self.init(
            connections: try object.count("connection_count"),
            connectionsAccepted: try object.count("max_connection_count"),
            connectionErrors: try object.count("connection_error_count"),
            requests: try object.count("request_total_count"),
            requestBytes: try object.count("request_total_bytes"),
            responses: try object.count("response_total_count"),
            responsesSucceeded: try object.count("response_total_succeed_count"),
            responsesFailed: try object.count("response_total_failed_count"),
            responseMilliseconds: try object.count("response_total_time_ms"),
            responseBytes: try object.count("response_total_bytes"),
            subscriptions: try own["subscriptions"] == nil
                ? object.count("subscriber_count") : own.count("subscriptions"),
            deliveries: try own["deliveries"] == nil
                ? object.count("subscriber_message_count") : own.count("deliveries"),
            heldProducers: try own.count("held_producers"), stuckConsumers: try own.count("stuck_consumers"))
        guard let mqtt = try own.object("mqtt") else { return }
        for (name, figure) in Self.ofMQTT { self[keyPath: figure] = try mqtt.count(name) }
    }

    /// A worker without clients of MQTT says nothing of it.
    func writeMQTT(to json: inout JSONWriter) {
        guard Self.ofMQTT.contains(where: { self[keyPath: $0.figure] != 0 }) else { return }
        json.member("mqtt") { json in for (name, figure) in Self.ofMQTT { json.member(name, self[keyPath: figure]) } }
    }

    private static let ofMQTT: [(name: String, figure: WritableKeyPath<WorkerFigures, Int> & Sendable)] = [
        ("clients", \.mqttClients), ("sessions", \.mqttSessions), ("absent", \.mqttAbsent), ("queued", \.mqttQueued),
        ("held_bytes", \.mqttHeldBytes), ("retained", \.mqttRetained), ("retained_bytes", \.mqttRetainedBytes),
    ]
}

extension LenientObject {
    /// A number of things: 0 where it is missing or negative.
    func count(_ key: String) throws(ShuntError) -> Int { Int(max(0, try integer(key) ?? 0)) }
}
