import ShuntCore

/// Whom `sessions.find` finds in a test.
extension RuleTestBench {
    func setSessions(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let help = "t:sessions{ { uid = \"ada\", client_id = \"phone\" }, { uid = \"ada\", client_id = \"tablet\", connected = false } }"
        guard let list = asked["sessions"].list ?? (asked["sessions"].table?.isEmpty == true ? [] : nil) else {
            throw ShuntError(.ruleInvalid, "t:sessions takes a list of sessions", help: help)
        }
        let directory = SessionDirectory()
        // The directory gives the newest session first: the test names that one first.
        for (place, one) in list.enumerated().reversed() { directory.list(try session(one, number: place, help)) }
        sessions = directory
        current?.sessions = directory
        return .object([:])
    }

    private func session(_ asked: LuaValue, number: Int, _ help: String) throws(ShuntError) -> ListedSession {
        let fields = try TestField.check(asked, of: "t:sessions", TestField.foundFields)
        guard let uid = fields["uid"]?.string, !uid.isEmpty else { throw ShuntError(.ruleInvalid, "t:sessions: a session without uid", help: help) }
        let isMQTT = fields["protocol"].map { $0 == "mqtt" } ?? (fields["client_id"] != nil)
        let isConnected = fields["connected"] != .bool(false)
        guard isMQTT || isConnected else {
            throw ShuntError(.ruleInvalid, "t:sessions: only sessions of MQTT outlive their connections", help: "client_id, or protocol = \"mqtt\"")
        }
        let address = fields["address"]?.string ?? "127.0.0.1:50000"
        guard let parsed = PeerAddress(host: address) ?? PeerAddress(text: address) else {
            throw ShuntError(.ruleInvalid, "t:sessions: '\(address)' is no address", help: "\"192.0.2.1:50000\", \"[2001:db8::1]:50000\"")
        }
        let loop = UInt8(clamping: fields["loop"]?.whole ?? 0)
        let id = fields["id"]?.whole.map { ConnectionID(raw: UInt64($0)) } ?? ConnectionID(loop: loop, slot: UInt32(number), generation: 1)
        func texts(_ key: String) -> [String] { (fields[key]?.list ?? []).compactMap(\.string) }
        let device = fields["device"]?.string ?? (isMQTT ? fields["client_id"]?.string : nil) ?? uid
        let clientID = isMQTT ? fields["client_id"]?.string ?? device : nil
        return ListedSession(
            uid: uid, device: device, tags: texts("tags"), alias: texts("alias"),
            connection: isConnected ? id : .none, address: parsed, connectedAt: fields["connected_at"]?.number ?? now, loop: loop,
            clientID: clientID)
    }
}

extension PeerAddress {
    /// As `description` writes it.
    fileprivate init?(text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        self.init(host: String(host))
        self.port = port
    }
}
