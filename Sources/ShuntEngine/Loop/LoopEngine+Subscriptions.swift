import ExchangeCodec
import ShuntCore

extension LoopEngine {
    /// SUBSCRIBE (exchange protocol §9.3, §10.1).
    func subscribe(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        do throws(ShuntError) {
            var request = try subscription(in: frame, start)
            if let hooks {
                begin(hooks)
                switch hooks.onSubscribe(request, from: connection, now: now) {
                case .accept: break
                case .acceptAs(let changed):
                    request = changed
                    try check(request)
                case .reject(let why):
                    throw ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the subscription" : why)
                }
            }
            let slot = connection.slot
            guard isCurrent(connection), sessions[slot].state != .closing else { return }
            guard Int(sessions[slot].subscriptions) < limits.subscriptions else {
                throw ShuntError(
                    .subscriptionLimit, "this connection has \(sessions[slot].subscriptions) subscriptions",
                    help: "no more are allowed (limits.subscriptions)")
            }
            let subscription = Subscription(
                id: nextSubscription(), connection: connection, filter: request.topic, group: request.group, key: request.key)
            guard index.insert(subscription) else { throw ShuntError(.subscriptionExists, "subscribe failed") }
            sessions[slot].subscriptions += 1
            figures.subscriptions += 1
            tell(.subscribed(subscription))
            if sessions[slot].pressure != .none {
                index.setPressure(sessions[slot].pressure, of: connection)
                tell(.pressure(sessions[slot].pressure, connection))
            }
            acknowledgeOnceConfirmed(frame.id, connection)
        } catch {
            refuse(frame.id, connection, error)
        }
    }

    /// UNSUBSCRIBE.
    func unsubscribe(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        do throws(ShuntError) {
            let request = try subscription(in: frame, start)
            let removed = index.remove(
                connection: connection, filter: request.topic, group: request.group, key: request.key)
            guard removed != nil else { throw ShuntError(.subscriptionUnknown, "unsubscribe failed") }
            sessions[connection.slot].subscriptions -= 1
            figures.subscriptions -= 1
            tell(.unsubscribed(connection, filter: request.topic, group: request.group, key: request.key))
            releaseProducers(heldBy: connection)
            acknowledgeOnceConfirmed(frame.id, connection)
        } catch {
            refuse(frame.id, connection, error)
        }
    }

    private func subscription(in frame: FrameView, _ start: UnsafeRawPointer) throws(ShuntError) -> SubscriptionRequest {
        guard let value = frame.value(in: start) else {
            throw ShuntError(
                .requestInvalid, "the request has no body", help: #"a JSON object: {"group":"billing","topic":"orders/eu"}"#)
        }
        guard frame.compression == .none else {
            throw ShuntError(.requestInvalid, "a control frame can't be compressed", help: "send the JSON as it is")
        }
        let body = try SubscribeBody(decoding: value)
        // `*` and no key are the same.
        let request = SubscriptionRequest(topic: body.topic, group: body.group, key: body.key == "*" ? nil : body.key)
        try check(request)
        return request
    }

    private func check(_ request: SubscriptionRequest) throws(ShuntError) {
        guard !request.topic.isEmpty, request.topic.utf8.count <= limits.topic else {
            throw ShuntError(
                .topicInvalid, "the topic has \(request.topic.utf8.count) bytes", help: "1 to \(limits.topic) (limits.topic)")
        }
        guard TopicFilter.isFilter(request.topic) else {
            throw ShuntError(
                .topicInvalid, "the topic filter '\(request.topic)' has a wildcard inside a level, # before the last level, or NUL",
                help: "+ stands for one whole level, # for all levels at the end, as in orders/+ and orders/# (MQTT 5 §4.7.1)")
        }
        if request.topic.hasPrefix("$share/") || request.topic.hasPrefix("$queue/") {
            let parts = request.topic.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            let (group, topic) = parts[0] == "$share" && parts.count == 3 ? (parts[1], parts[2]) : ("GROUP", String(request.topic.dropFirst(7)))
            throw ShuntError(
                .topicInvalid, "'\(request.topic)' is MQTT's way to name a group",
                help: "the exchange protocol names the group apart: group \(group), topic \(topic)")
        }
        guard TopicFilter.levels(of: request.topic) <= TopicFilter.maximumLevels || !TopicFilter.isPattern(request.topic) else {
            throw ShuntError(
                .topicInvalid, "the topic filter has \(TopicFilter.levels(of: request.topic)) levels",
                help: "at most \(TopicFilter.maximumLevels) where there are wildcards")
        }
        guard !request.group.isEmpty, request.group.utf8.count <= limits.group else {
            throw ShuntError(
                .requestInvalid, "the group's name has \(request.group.utf8.count) bytes",
                help: "1 to \(limits.group) (limits.group)")
        }
        guard (request.key?.utf8.count ?? 0) <= limits.topic else {
            throw ShuntError(
                .requestInvalid, "the key has \(request.key?.utf8.count ?? 0) bytes", help: "at most \(limits.topic) (limits.topic)")
        }
    }
}
