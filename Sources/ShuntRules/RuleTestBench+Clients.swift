import CLuaHost
import ShuntCore

/// Clients that come and go, subscribe, and take part in chats.
extension RuleTestBench {
    func connect(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let client = clients.client(.object(try fields(asked, of: "connect", TestField.clientFields)))
        let rules = try loaded()
        let outcome = waited(rules.onConnect(client, now: now)) { if case .connect(let outcome) = $0 { outcome } else { nil } }
        var out = observedOwn()
        out["uid"] = .string(client.uid)
        out["tags"] = .array(client.tags.map(LuaValue.string))
        out["alias"] = .array(client.alias.map(LuaValue.string))
        switch outcome {
        case .accept, .waits: out["verdict"] = "accept"
        case .acceptAs(let uid, let tags, let alias, let terms):
            out["verdict"] = "replace"
            out.merge(described(terms)) { own, _ in own }
            if let uid { out["uid"] = .string(uid) }
            if let tags { out["tags"] = .array(tags.map(LuaValue.string)) }
            if let alias { out["alias"] = .array(alias.map(LuaValue.string)) }
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        case .redirect(let worker):
            out["verdict"] = "redirect"
            out["worker"] = .string(worker)
        }
        return .object(out)
    }

    func subscribe(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        var request = try subscription(asked, of: "subscribe")
        let client = clients.client(asked["sender"])
        let rules = try loaded()
        let outcome = waited(rules.onSubscribe(request, from: client.id, now: now)) { if case .subscribe(let outcome) = $0 { outcome } else { nil } }
        var out = observedOwn()
        switch outcome {
        case .accept, .waits: out["verdict"] = "accept"
        case .acceptAs(let changed):
            out["verdict"] = "replace"
            request = changed
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        }
        out["topic"] = .string(request.topic)
        out["group"] = .string(request.group)
        out["qos"] = .int(Int64(request.qos.rawValue))
        return .object(out)
    }

    func unsubscribe(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let request = try subscription(asked, of: "unsubscribe")
        try loaded().onUnsubscribe(request, from: clients.client(asked["sender"]).id, now: now)
        return .object(observedOwn())
    }

    /// What a client asks for, as its protocol has it: MQTT names a group in the filter, and has none otherwise.
    private func subscription(_ asked: LuaValue, of name: String) throws(ShuntError) -> SubscriptionRequest {
        _ = try fields(asked, of: name, TestField.subscriptionFields)
        var (topic, group) = (asked["topic"].string ?? "test", "group")
        if TestClients.speaksMQTT(asked["sender"]) {
            group = ""
            let parts = topic.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
            if parts.count == 3, parts[0] == "$share" { (group, topic) = (String(parts[1]), String(parts[2])) }
        }
        return SubscriptionRequest(
            topic: topic, group: asked["group"].string ?? group, key: asked["key"].string,
            qos: QoS(rawValue: UInt8(clamping: asked["qos"].whole ?? 1)) ?? .atLeastOnce)
    }

    func disconnect(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        _ = try fields(asked, of: "disconnect", TestField.clientFields, ["why": .text])
        try loaded().onDisconnect(clients.client(asked), why: asked["why"].string ?? "closed", now: now)
        return .object(observedOwn())
    }

    // MARK: chats

    /// A chat as a test tells it: its members are there unless it says `online = false`.
    func chat(of asked: LuaValue) -> ChatView {
        let members = (asked["members"].list ?? []).map { member in
            ChatView.Member(uid: member["uid"].string ?? "", isOnline: member["online"] != .bool(false))
        }
        return ChatView(
            id: asked["id"].string ?? "chat", members: members, createdAt: asked["created_at"].number ?? 1_700_000_000)
    }

    func chatEntry(_ hook: shunt_hook, _ asked: LuaValue) throws(ShuntError) -> LuaValue {
        let name = hook == SHUNT_ON_CHAT_OPEN ? "chat_open" : "chat_join"
        _ = try fields(asked, of: name, TestField.chatFields, ["sender": .client])
        let rules = try loaded()
        let chat = chat(of: asked)
        let client = clients.client(asked["sender"])
        guard isWanted(hook, .chat, chat.id) else { return .object(["verdict": "unmatched"]) }
        let outcome = hook == SHUNT_ON_CHAT_OPEN ? rules.onChatOpen(chat, by: client, now: now) : rules.onChatJoin(chat, by: client, now: now)
        var out = observedOwn()
        switch outcome {
        case .accept, .acceptAs, .waits: out["verdict"] = "accept"
        case .reject(let why):
            out["verdict"] = "reject"
            out["why"] = .string(why)
        case .redirect(let worker):
            out["verdict"] = "redirect"
            out["worker"] = .string(worker)
        }
        return .object(out)
    }

    func chatClose(_ asked: LuaValue) throws(ShuntError) -> LuaValue {
        _ = try fields(asked, of: "chat_close", TestField.chatFields, ["why": .text])
        try loaded().onChatClose(chat(of: asked), why: asked["why"].string ?? "closed", by: nil, now: now)
        return .object(observedOwn())
    }
}
