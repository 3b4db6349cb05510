import ShuntCore

/// The clients of a test: one for each user with its device, or client identifier, with what the test says of it.
final class TestClients: PeerDirectory {
    private var ids: [String: ConnectionID] = [:]
    private var clients: [ConnectionID: Peer] = [:]
    var closed: String?

    func client(_ asked: LuaValue) -> Peer {
        // As a worker has it: a client of MQTT is called by its identifier where it gives no user name.
        let uid = asked["uid"].string ?? asked["client_id"].string ?? ""
        let device = asked["device"].string ?? asked["client_id"].string ?? uid
        let name = Self.connection(asked, uid: uid, device: device)
        let id = ids[name] ?? ConnectionID(loop: 0, slot: UInt32(ids.count), generation: 1)
        ids[name] = id
        func texts(_ key: String) -> [String] { (asked[key].list ?? []).compactMap(\.string) }
        let isMQTT = Self.speaksMQTT(asked)
        var client = Peer(
            id: id, uid: uid, device: device, tags: texts("tags"), alias: texts("alias"),
            protocolName: asked["protocol"].string ?? (isMQTT ? "mqtt" : "exchange"), address: asked["address"].string ?? "127.0.0.1:50000",
            groups: texts("groups"), connectedAt: asked["connected_at"].number ?? 1_700_000_000, mqtt: isMQTT ? mqtt(asked, device: device) : nil)
        client.attributes = (asked["attributes"].table ?? [:]).map { UserProperty($0.key, $0.value.string ?? "") }.sorted { $0.name < $1.name }
        clients[id] = client
        return client
    }

    /// A key for a client's connection: two descriptions with the same key are one connection.
    private static func connection(_ asked: LuaValue, uid: String, device: String) -> String {
        let number = asked["id"].whole.map(String.init) ?? ""
        return [uid, device, asked["client_id"].string ?? "", number].joined(separator: "\u{0}")
    }

    /// Whether a test says something of the client that only clients of MQTT have.
    static func speaksMQTT(_ asked: LuaValue) -> Bool {
        asked["protocol"] == "mqtt" || ["client_id", "version", "keep_alive", "will", "props", "auth_method"].contains { asked[$0] != .null }
    }

    private func mqtt(_ asked: LuaValue, device: String) -> Peer.MQTT {
        let keepAlive = UInt16(clamping: asked["keep_alive"].whole ?? 60)
        var client = Peer.MQTT(
            clientID: asked["client_id"].string ?? device, version: asked["version"].string ?? "5.0", keepAlive: keepAlive,
            properties: asked["props"].pairs, will: asked["will"] == .null ? nil : Peer.Will(asked["will"]))
        client.authMethod = asked["auth_method"].string
        return client
    }

    func peer(_ id: ConnectionID) -> Peer? { clients[id] }
    func close(_ id: ConnectionID, why: String, by rule: String) { closed = why }
}

extension Peer.Will {
    /// As a test tells it.
    init(_ asked: LuaValue) {
        var properties = TestProperties()
        for pair in asked["props"].pairs { properties.add(.user, pair.name, pair.value) }
        self.init(
            topic: asked["topic"].bytes ?? [], payload: asked["payload"].bytes ?? [],
            qos: QoS(rawValue: UInt8(clamping: asked["qos"].whole ?? 0)) ?? .atMostOnce, isRetained: asked["retain"] == .bool(true),
            properties: properties.behindLength, delay: UInt32(clamping: asked["delay"].whole ?? 0))
    }
}
