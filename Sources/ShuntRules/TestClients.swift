import ShuntCore

/// The clients of a test: one for each uid, with what the test says of it.
final class TestClients: PeerDirectory {
    private var ids: [String: ConnectionID] = [:]
    private var clients: [ConnectionID: Peer] = [:]
    var closed: String?

    func client(_ asked: LuaValue) -> Peer {
        let uid = asked["uid"].string ?? ""
        let device = asked["device"].string ?? uid
        let name = uid + "\u{0}" + device
        let id = ids[name] ?? ConnectionID(loop: 0, slot: UInt32(ids.count), generation: 1)
        ids[name] = id
        func texts(_ key: String) -> [String] { (asked[key].list ?? []).compactMap(\.string) }
        let client = Peer(
            id: id, uid: uid, device: device, tags: texts("tags"), alias: texts("alias"),
            protocolName: asked["protocol"].string ?? "exchange", address: asked["address"].string ?? "127.0.0.1:50000",
            groups: texts("groups"), connectedAt: 1_700_000_000)
        clients[id] = client
        return client
    }

    func peer(_ id: ConnectionID) -> Peer? { clients[id] }
    func close(_ id: ConnectionID, why: String) { closed = why }
}
