import CLuaHost
import ShuntCore

/// Devices, groups, wills, sessions and acknowledgements.
extension RuleTestBench {
    func register(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let client = clients.client(.object(try fields(asked, of: "register", TestField.clientFields)))
        let outcome = waited(try loaded().onRegister(client, now: now)) { $0.register }
        var out = observedOwn()
        out["verdict"] = "accept"
        var (tags, alias) = (client.tags, client.alias)
        switch outcome {
        case .accept, .waits: break
        case .acceptAs(let newTags, let newAlias):
            out["verdict"] = "replace"
            (tags, alias) = (newTags ?? tags, newAlias ?? alias)
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        }
        out["tags"] = .array(tags.map(LuaValue.string))
        out["alias"] = .array(alias.map(LuaValue.string))
        return .object(out)
    }

    /// On what terms a client is let in.
    func described(_ terms: ClientTerms) -> [String: LuaValue] {
        var out: [String: LuaValue] = [:]
        if let attributes = terms.attributes {
            out["attributes"] = .object(Dictionary(attributes.map { ($0.name, .string($0.value)) }) { _, last in last })
        }
        if let time = terms.expiresAt { out["expires_at"] = .double(time) }
        var limits: [String: LuaValue] = [:]
        if let messages = terms.messagesPerSecond { limits["messages_per_second"] = .int(Int64(messages)) }
        if let bytes = terms.bytesPerSecond { limits["bytes_per_second"] = .int(Int64(bytes)) }
        if !limits.isEmpty { out["limits"] = .object(limits) }
        return out
    }

    func select(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let message = try TestMessage(
            fields(asked, of: "select", TestField.messageFields, ["topic": .topic, "group": .text, "members": .candidates]), .topic,
            topic: asked["topic"].string ?? "test", clients.client(asked["sender"]).id)
        let candidates = asked["members"].list ?? []
        let members = candidates.map { member in
            GroupMember(
                id: clients.client(.object(["uid": member["uid"]])).id, delivered: UInt64(clamping: member["delivered"].whole ?? 0),
                isCongested: member["congested"] == .bool(true), isAbsent: member["absent"] == .bool(true))
        }
        let rules = try loaded()
        return message.withView { view, _ in
            guard isWanted(SHUNT_ON_SELECT, .topic, message.topic) else { return .object(["verdict": "unmatched"]) }
            let place = rules.onSelect(asked["group"].string ?? "group", members, view, now: now)
            var out = observed()
            out["verdict"] = place == nil ? "pass" : "select"
            if let place {
                out["member"] = .int(Int64(place + 1))
                out["uid"] = candidates[place]["uid"]
            }
            return .object(out)
        }
    }

    func session(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        _ = try fields(asked, of: "session", TestField.sessionFields)
        func number(_ key: String) -> Int { Int(clamping: asked[key].whole ?? 0) }
        var view = SessionView(
            clientID: asked["client_id"].string ?? "", uid: asked["uid"].string ?? "", version: asked["version"].string ?? "5.0",
            expiry: UInt32(clamping: number("expiry")))
        view.isConnected = asked["connected"] == .bool(true)
        (view.subscriptions, view.waiting, view.inflight) = (number("subscriptions"), number("waiting"), number("inflight"))
        let event = SessionEvent(rawValue: asked["event"].string ?? "") ?? .created
        try loaded().onSession(event, view, now: now)
        return .object(observedOwn())
    }
}
