import ExchangeCodec
import MQTTCodec
import ShuntCore

/// What becomes of a message for one of the worker's own topics.
enum ServiceOutcome {
    /// It is answered at once.
    case done(ReasonCode, String)
    /// It is answered when other loops, or the master, have done their part.
    case later
}

/// The topics that begin with `$` and mean something here: devices and broadcasts below `$shunt`, chats below `$chat`, and `$SYS`, which the
/// worker alone publishes.
extension MQTTFront {
    static let notifyTopic = "$shunt/notify"
    static let deviceTopic = "$shunt/device"
    static let chatPrefix = "$chat/"
    static let destroySuffix = "/destroy"

    /// Whether what is published to a topic is for the worker itself.
    static func isServiceTopic(_ topic: Bytes) -> Bool { topic.starts(with: "$shunt/".utf8) || topic.starts(with: chatPrefix.utf8) }

    /// Takes a message for one of the worker's own topics.
    /// - Returns: nil where the topic is one like any other.
    func service(_ message: MessageView, _ packet: PublishView) -> ServiceOutcome? {
        let outcome = serve(message, packet)
        if outcome != nil { router.output.figures.otherRequests += 1 }
        return outcome
    }

    private func serve(_ message: MessageView, _ packet: PublishView) -> ServiceOutcome? {
        if TopicRouter.isSystemTopic(message.topic) { return .done(.notAuthorized, TopicRouter.systemTopicRefusal) }
        let isNotify = message.topic.elementsEqual(Self.notifyTopic.utf8), isDevice = message.topic.elementsEqual(Self.deviceTopic.utf8)
        let isChat = message.topic.starts(with: Self.chatPrefix.utf8)
        guard isNotify || isDevice || isChat else {
            guard message.topic.starts(with: "$shunt/".utf8) else { return nil }
            return .done(.topicNameInvalid, "there are \(Self.notifyTopic) and \(Self.deviceTopic)")
        }
        do throws(ShuntError) {
            // It may be answered at any time from here on.
            if packet.qos == .exactlyOnce { session?.received.insert(packet.identifier) }
            if isDevice {
                guard try register(message, receipt(packet)) else { return .later }
                forget(packet)
                return .done(.success, "")
            }
            if isNotify {
                router.output.figures.broadcastsReceived += 1
                try notify(message, receipt(packet))
            } else {
                try chat(message, receipt(packet))
            }
            return .later
        } catch {
            forget(packet)
            router.output.figures.failed += 1
            return .done(ReasonCode(refusingMessage: error.code), error.description)
        }
    }

    /// It is known at once what becomes of a message: whether its identifier stays depends on its answer.
    private func forget(_ packet: PublishView) {
        if packet.qos == .exactlyOnce { _ = session?.received.remove(packet.identifier) }
    }

    private func receipt(_ packet: PublishView) -> Receipt {
        switch packet.qos {
        case .atMostOnce: .none
        case .atLeastOnce: .mqtt(.publishAcknowledgement, packet.identifier)
        case .exactlyOnce: .mqtt(.publishReceived, packet.identifier)
        }
    }

    // MARK: Devices and broadcasts

    /// The JSON of REGISTER, or what is left of it: uid and device are those that the client has where it says none.
    /// - Returns: false where rules look something up first.
    private func register(_ message: MessageView, _ receipt: Receipt) throws(ShuntError) -> Bool {
        guard let identity else { return true }
        try engine.countRegistration(client)
        let object = try LenientJSON.object(in: message.payload, subject: "device")
        let body = RegisterBody(
            uid: try object.string("uid") ?? identity.uid, device: try object.string("device") ?? identity.device,
            tags: try object.strings("tags") ?? [], alias: try object.strings("alias") ?? [])
        try engine.demand(uid: body.uid, client)
        return try register(body, nil, receipt)
    }

    private func register(_ body: RegisterBody, _ decided: RegisterOutcome?, _ receipt: Receipt) throws(ShuntError) -> Bool {
        let (tags, alias) = (body.tags ?? [], body.alias ?? [])
        if try engine.register(uid: body.uid, device: body.device, tags: tags, alias: alias, decided: decided, client) { return true }
        engine.leaveUndecided(receipt, client)
        engine.whenDecided(client) { [client] engine, outcome in
            do throws(ShuntError) {
                if try MQTTFront(engine, client).register(body, outcome.register, receipt) { engine.acknowledge(receipt, client) }
            } catch {
                engine.refuse(receipt, client, error)
            }
        }
        return false
    }

    /// The JSON of NOTIFY, or a text with the filter in the user property `filter`.
    private func notify(_ message: MessageView, _ receipt: Receipt) throws(ShuntError) {
        guard router.limits.mqtt.broadcastsFrom == .all || !engine.clients[client.slot].isAnonymous else {
            throw ShuntError(.ruleRejected, "clients without a user name may not send broadcasts", help: "mqtt.broadcasts_from: all lets them")
        }
        var body: NotifyBody
        if let filter = PublishProperties.userProperty("filter", in: message.properties) {
            body = filter.isEmpty ? NotifyBody() : try NotifyBody(decoding: filter)
            guard let text = String(validating: message.payload, as: UTF8.self) else {
                throw ShuntError(.payloadInvalid, "a broadcast is a text in UTF-8")
            }
            body.message = text
        } else {
            body = message.payload.isEmpty ? NotifyBody() : try NotifyBody(decoding: message.payload)
        }
        let filter = DeviceFilter(body)
        try filter.validate()
        let json = body == NotifyBody() ? [] : body.encoded()
        let frame = Frame(.notify, id: message.id, format: json.isEmpty ? .none : .json, value: json)
        try engine.notify(
            BroadcastMessage(frame: frame.encoded(), filter: filter, text: body.message ?? "", json: json), Request(receipt: receipt, client: client))
    }

    // MARK: Chats

    /// A message for the other members, or the end of the chat.
    private func chat(_ message: MessageView, _ receipt: Receipt) throws(ShuntError) {
        let (name, ends) = chatName(in: message.topic)
        let format: PayloadFormat = message.format == .json ? .json : .text
        engine.chat(
            ChatRequest(
                member, receipt, chat: try ChatRequest.chat(name), ends ? .destroy : .session,
                ChatPayload(Array(message.payload), format: format, compression: message.compression)))
    }

    /// The chat of a topic, and whether the topic is for the end of the chat.
    func chatName(in topic: Bytes) -> (name: Bytes, ends: Bool) {
        let name = Bytes(rebasing: topic[Self.chatPrefix.utf8.count...])
        let ends = name.count > Self.destroySuffix.utf8.count && name.suffix(Self.destroySuffix.utf8.count).elementsEqual(Self.destroySuffix.utf8)
        return (ends ? Bytes(rebasing: name.dropLast(Self.destroySuffix.utf8.count)) : name, ends)
    }

    private var member: ChatMember { ChatMember(client, uid: identity?.uid ?? "") }

    /// Takes a subscription to one of the worker's own topics.
    /// - Parameters:
    ///   - decided: what rules have decided already about the device that the client becomes.
    ///   - receipt: names the filter, where it is answered later.
    /// - Returns: whether it is granted; nil where the filter is one like any other.
    func subscribeService(
        _ request: SubscriptionRequest, _ qos: QoS, _ decided: RegisterOutcome?, _ receipt: () -> Receipt
    ) throws(ShuntError) -> ServiceOutcome? {
        guard request.group.isEmpty, let identity else { return nil }
        if request.topic == Self.notifyTopic {
            try engine.demand(.subscribe, request.topic, client)
            if qos > .atMostOnce { _ = engine.needSession(client) }
            guard try engine.registerByName(client, decided) else { return .later }
            identity.broadcastQoS = qos
            return .done(ReasonCode(rawValue: qos.rawValue) ?? .success, "")
        }
        guard let name = Self.chatName(request.topic) else { return nil }
        let chat = try Self.checked(name)
        try engine.demand(.chat, chat, client)
        if qos > .atMostOnce { _ = engine.needSession(client) }
        identity.chats[ExactText(chat)] = qos
        engine.chat(ChatRequest(member, receipt(), chat: chat, .create))
        return .later
    }

    /// A client is back in its session: it is in its chats again, and gets broadcasts, as far as it still may.
    func resumeServices() {
        guard let identity else { return }
        if identity.broadcastQoS != nil, (try? engine.demand(.subscribe, Self.notifyTopic, client)) == nil { identity.broadcastQoS = nil }
        let chats = identity.chats.keys.map(\.text)
        guard !chats.isEmpty else { return }
        let number = engine.beginSubscribe()
        var waiting = WaitingSubscribe(client: client, identifier: 0)
        for (place, chat) in chats.enumerated() {
            guard (try? engine.demand(.chat, chat, client)) != nil else {
                identity.chats[ExactText(chat)] = nil
                continue
            }
            waiting.open[UInt16(truncatingIfNeeded: place)] = Self.chatPrefix + chat
            engine.chat(ChatRequest(member, .filter(number, place: UInt16(truncatingIfNeeded: place)), chat: chat, .create))
        }
        engine.answer(waiting, number)
    }

    /// Only the client itself subscribes one of the worker's own topics: to do so makes it a device, or a chat's member.
    /// - Throws: `rule.rejected`.
    static func checkRewritten(_ request: SubscriptionRequest, by rule: String) throws(ShuntError) {
        guard request.group.isEmpty, request.topic == notifyTopic || chatName(request.topic) != nil else { return }
        throw ShuntError(.ruleRejected, "rule \(rule) makes '\(request.topic)' of the filter, which only the client itself subscribes")
    }

    /// - Returns: whether the client had it; nil where the filter is one like any other.
    func unsubscribeService(_ request: SubscriptionRequest) -> Bool? {
        guard request.group.isEmpty, let identity else { return nil }
        if request.topic == Self.notifyTopic {
            defer { identity.broadcastQoS = nil }
            return identity.broadcastQoS != nil
        }
        guard let name = Self.chatName(request.topic) else { return nil }
        guard identity.chats.removeValue(forKey: ExactText(name)) != nil, let chat = try? Self.checked(name) else { return false }
        engine.chat(ChatRequest(member, .none, chat: chat, .leave))
        return true
    }

    /// The chat of a filter did not let the client in.
    func forgetChat(_ filter: String) {
        if let name = Self.chatName(filter) { identity?.chats[ExactText(name)] = nil }
    }

    /// By bytes: a mark that combines with the separator before it belongs to the id.
    private static func chatName(_ filter: String) -> String? {
        guard filter.utf8.starts(with: chatPrefix.utf8), !TopicFilter.isPattern(filter) else { return nil }
        return String(Substring(filter.utf8.dropFirst(chatPrefix.utf8.count)))
    }

    private static func checked(_ name: String) throws(ShuntError) -> String {
        guard !name.isEmpty, name.utf8.count <= ChatRequest.longestChat else {
            throw ShuntError(.chatInvalid, "the chat id has \(name.utf8.count) bytes", help: "1 to \(ChatRequest.longestChat)")
        }
        return name
    }
}

extension LoopEngine {
    /// The worker ends: clients of MQTT 5.0 are told (5.0 §3.14.2.1).
    public func stop(now: Double) {
        router.now = now
        for slot in clients.indices where clients[slot].state == .open && clients[slot].protocolName == .mqtt {
            MQTTFront(self, ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)).tellStop()
        }
    }

    /// Makes a client of MQTT a device, under the name that its CONNECT gave, or the last one that it registered.
    /// - Returns: false where rules look something up first.
    func registerByName(_ connection: ConnectionID, _ decided: RegisterOutcome?) throws(ShuntError) -> Bool {
        guard let identity = clients[connection.slot].identity, !clients[connection.slot].isDevice else { return true }
        return try register(
            uid: identity.uid, device: identity.device, tags: identity.tags, alias: identity.alias, decided: decided, connection)
    }

    /// What a client of MQTT gets of a broadcast; nil where it has not subscribed.
    func broadcastQoS(of connection: ConnectionID) -> QoS? {
        isCurrent(connection) ? clients[connection.slot].identity?.broadcastQoS : nil
    }

    /// The message of a chat for a member who speaks MQTT.
    func deliverChat(_ chat: String, _ key: ChatDeliveryKey, _ payload: ChatPayload, to connection: ConnectionID) {
        guard key != .notice, let qos = clients[connection.slot].identity?.chats[ExactText(chat)] else { return }
        let topic = key == .destroy ? chat + MQTTFront.destroySuffix : chat
        if key == .destroy { clients[connection.slot].identity?.chats[ExactText(chat)] = nil }
        Self.withBytes(topic) { topic in
            payload.bytes.withUnsafeBytes { bytes in
                var message = MessageView(
                    kind: .chat, topic: topic, key: nil, payload: bytes, format: payload.format, compression: payload.compression,
                    id: router.makeID(), sender: .nobody)
                message.qos = qos
                router.deliver(message, to: Recipient(subscriber(of: connection), DeliveryTerms(clients[connection.slot].form, qos: qos)))
            }
        }
    }

    /// Tells those who have subscribed `$SYS/clients/#` that a client has come or gone.
    /// - Parameter why: it has gone, for this reason; nil: it has come.
    func tellPresence(_ identity: Client.Identity, _ connection: ConnectionID, why: String?) {
        guard router.index.hasSystemFilters else { return }
        let client = clients[connection.slot]
        let body = PresenceBody(
            client: identity.name, user: client.isAnonymous ? nil : identity.uid, address: client.address.description,
            protocolName: client.version.hasProperties ? "mqtt 5.0" : "mqtt 3.1.1", at: Int64(now * 1000),
            keepAlive: why == nil ? Int(client.keepAlive) : nil, why: why)
        let name = "clients/\(Self.topicLevel(identity.name))/\(why == nil ? "connected" : "disconnected")"
        publishSystem(name, String(decoding: body.encoded(), as: UTF8.self), isRetained: false)
    }

    /// A client identifier as one level of a topic: what has a meaning there is written as in addresses, `%2F`.
    static func topicLevel(_ text: String) -> String {
        var level = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "/": level += "%2F"
            case "+": level += "%2B"
            case "#": level += "%23"
            case "%": level += "%25"
            default: level.unicodeScalars.append(scalar)
            }
        }
        return level
    }

    /// Publishes something of the worker's own below `$SYS`. No rule sees it.
    public func publishSystem(_ name: String, _ text: String, now: Double) {
        router.now = now
        publishSystem(name, text, isRetained: true)
    }

    func publishSystem(_ name: String, _ text: String, isRetained: Bool) {
        let topic = "$SYS/" + name
        guard topic.utf8.count <= limits.topic else { return }
        Self.withBytes(topic) { topic in
            Self.withBytes(text) { text in
                var message = MessageView(kind: .topic, topic: topic, key: nil, payload: text, format: .none, id: router.makeID(), sender: .nobody)
                (message.qos, message.isRetained) = (.exactlyOnce, isRetained)
                let route = router.route(of: message.topic, last: .none)
                guard !route.isNone else { return }
                router.count(message, route)
                router.publish(by: .none, nil) { _ = router.deliverMade(message, route) }
            }
        }
    }
}

extension ReasonCode {
    /// Why the worker does not serve a message for itself.
    init(refusingMessage code: ErrorCode) {
        self =
            switch code {
            case .deviceNone, .topicNoSubscriber: .noMatchingSubscribers
            case .ruleRejected, .chatNotMember: .notAuthorized
            case .memoryLimit: .quotaExceeded
            case .filterInvalid, .payloadInvalid, .requestInvalid, .deviceInvalid: .payloadFormatInvalid
            case .chatInvalid, .topicInvalid: .topicNameInvalid
            default: .implementationSpecificError
            }
    }
}
