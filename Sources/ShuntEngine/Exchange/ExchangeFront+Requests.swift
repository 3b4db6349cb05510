import ExchangeCodec
import ShuntCore

/// The requests with bodies.
extension ExchangeFront {
    // MARK: Subscriptions

    /// SUBSCRIBE (exchange protocol §9.3, §10.1).
    func subscribe(_ frame: FrameView, _ start: UnsafeRawPointer) {
        do throws(ShuntError) {
            subscribe(try subscription(in: frame, start), nil, id: frame.id)
        } catch {
            refuse(frame, error)
        }
    }

    private func subscribe(_ asked: SubscriptionRequest, _ decided: SubscribeOutcome?, id: Int64) {
        do throws(ShuntError) {
            var request = asked
            switch try engine.subscribe(&request, decided: decided, client) {
            case .entered: engine.acknowledgeOnceConfirmed(.receipt(.exchange(id: id)), client)
            case .known: throw ShuntError(.subscriptionExists, "subscribe failed")
            case .waits:
                engine.whenDecided(client) { [client] engine, outcome in
                    ExchangeFront(engine, client).subscribe(asked, outcome.subscribe, id: id)
                }
            }
        } catch {
            engine.refuse(.exchange(id: id), client, error)
        }
    }

    /// UNSUBSCRIBE.
    func unsubscribe(_ frame: FrameView, _ start: UnsafeRawPointer) {
        do throws(ShuntError) {
            guard engine.giveUp(try subscription(in: frame, start), client) else {
                throw ShuntError(.subscriptionUnknown, "unsubscribe failed")
            }
            engine.acknowledgeOnceConfirmed(.receipt(.exchange(id: frame.id)), client)
        } catch {
            refuse(frame, error)
        }
    }

    private func subscription(in frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> SubscriptionRequest {
        let value = try controlValue(of: frame, start, example: #"a JSON object: {"group":"billing","topic":"orders/eu"}"#)
        let body = try SubscribeBody(decoding: value)
        // `*` and no key are the same.
        let request = SubscriptionRequest(topic: body.topic, group: body.group, key: body.key == "*" ? nil : body.key)
        if request.topic.hasPrefix("$share/") || request.topic.hasPrefix("$queue/") { throw Self.sharedSubscription(request.topic) }
        try engine.check(request)
        return request
    }

    private static func sharedSubscription(_ filter: String) -> ShuntError {
        let parts = filter.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        let (group, topic) = parts[0] == "$share" && parts.count == 3 ? (parts[1], parts[2]) : ("GROUP", String(filter.dropFirst(7)))
        return ShuntError(
            .topicInvalid, "'\(filter)' is MQTT's way to name a group",
            help: "the exchange protocol names the group apart: group \(group), topic \(topic)")
    }

    // MARK: Devices and broadcasts

    /// REGISTER (exchange protocol §9.4, §10.3).
    func register(_ frame: FrameView, _ start: UnsafeRawPointer) {
        do throws(ShuntError) {
            let value = try controlValue(of: frame, start)
            // Whom the token names was found out when the frame came first.
            if RegisterBody.isIntroduction(value) { return engine.acknowledge(.exchange(id: frame.id), client) }
            try engine.countRegistration(client)
            let body = try RegisterBody(decoding: value)
            try engine.demand(uid: body.uid, client)
            register(body, nil, id: frame.id)
        } catch {
            refuse(frame, error)
        }
    }

    private func register(_ body: RegisterBody, _ decided: RegisterOutcome?, id: Int64) {
        do throws(ShuntError) {
            let (tags, alias) = (body.tags ?? [], body.alias ?? [])
            if try engine.register(uid: body.uid, device: body.device, tags: tags, alias: alias, decided: decided, client) {
                return engine.acknowledgeConfirmed(.exchange(id: id), client)
            }
            engine.whenDecided(client) { [client] engine, outcome in ExchangeFront(engine, client).register(body, outcome.register, id: id) }
        } catch {
            engine.refuse(.exchange(id: id), client, error)
        }
    }

    /// NOTIFY (exchange protocol §9.5, §10.4).
    func notify(_ frame: FrameView, _ start: UnsafeRawPointer) {
        do throws(ShuntError) {
            try engine.demand(.broadcast, "", client)
            let (body, filter) = try broadcast(frame, start)
            let message = BroadcastMessage(
                frame: Array(frame.bytes(in: start)), filter: filter, text: body.message ?? "", json: Array(frame.value(in: start) ?? .none))
            try engine.notify(message, Request(receipt: .exchange(id: frame.id), client: client))
        } catch {
            refuse(frame, error)
        }
    }

    private func broadcast(_ frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> (NotifyBody, DeviceFilter) {
        guard frame.hasBody else { return (NotifyBody(), .all) }
        do throws(ShuntError) {
            let body = try NotifyBody(decoding: try controlValue(of: frame, start))
            let filter = DeviceFilter(body)
            try filter.validate()
            return (body, filter)
        } catch {
            throw error.code == .requestInvalid ? ShuntError(.filterInvalid, error.message, at: error.location, help: error.help) : error
        }
    }

    // MARK: Chats

    /// CHAT (exchange protocol §11.1).
    func chat(_ frame: FrameView, _ start: UnsafeRawPointer) {
        do throws(ShuntError) {
            var member = ChatMember(client, uid: engine.clients[client.slot].identity?.uid ?? "")
            if frame.format == .json, let body = frame.value(in: start), frame.key(in: start)?.elementsEqual("CREATE".utf8) == true {
                // Shunt's own clients say here what they are called, and that they take notices.
                let join = try ChatJoinBody(decoding: body)
                member.name = join.name ?? ""
                member.takesNotices = join.takesNotices
            }
            let request = try ChatRequest(frame, in: start, from: member)
            try engine.demand(.chat, request.chat, client)
            engine.chat(request)
        } catch {
            refuse(frame, error)
        }
    }
}
