import MQTTCodec
import ShuntCore

/// SUBSCRIBE and UNSUBSCRIBE.
extension MQTTFront {
    /// Each filter is answered by itself, once all loops know it.
    func subscribe(_ packet: Subscribe) throws(MQTTFault) {
        let identifier = packet.properties.subscriptionIdentifiers.first
        var questions: [RetainedQuestion] = []
        var reasons: [ReasonCode] = []
        for filter in packet.filters {
            do throws(ShuntError) {
                reasons.append(try subscribe(filter, identifier, &questions))
            } catch {
                router.output.figures.failed += 1
                reasons.append(ReasonCode(refusing: error.code))
            }
        }
        let answer = SubscribeAnswer(.subscribeAcknowledgement, packet.identifier, reasons)
        engine.acknowledgeOnceConfirmed(.subscribed(answer.encoded(version), form, questions), client)
    }

    private func subscribe(
        _ filter: Subscribe.Filter, _ identifier: UInt32?, _ questions: inout [RetainedQuestion]
    ) throws(ShuntError) -> ReasonCode {
        var request = try Self.request(filter.filter)
        request.qos = filter.qos
        try engine.check(request, mayHaveNoGroup: true)
        if try subscribeService(request) { return ReasonCode(rawValue: filter.qos.rawValue) ?? .success }
        let isShared = !request.group.isEmpty
        if filter.qos > .atMostOnce || identifier != nil { _ = engine.needSession(client) }
        note(identifier, request)
        let terms = DeliveryTerms(
            form, qos: filter.qos, isNoLocal: filter.isNoLocal, isRetainAsPublished: filter.isRetainAsPublished,
            asksSession: session?.looksAtAll ?? false, isShared: isShared)
        // One that is there already is replaced (MQTT-3.8.4-3).
        let isKnown = engine.unsubscribe(request, client)
        guard try engine.subscribe(&request, terms: terms, client) else { return .unspecifiedError }
        let granted = terms.with(qos: request.qos)
        if isShared { session?.hasSharedSubscriptions = true }
        let wantsRetained = filter.retainHandling == .send || (filter.retainHandling == .sendIfNew && !isKnown)
        // Nothing that is retained goes to a shared subscription (5.0 §4.8.2).
        if wantsRetained, !isShared {
            questions.append(RetainedQuestion(filter: request.topic, subscriber: engine.subscriber(of: client), terms: granted))
        }
        return ReasonCode(rawValue: granted.qos.rawValue) ?? .success
    }

    /// The subscription's identifier, or none any longer.
    private func note(_ identifier: UInt32?, _ request: SubscriptionRequest) {
        guard let session else { return }
        let wasIdentified = !session.identified.isEmpty
        session.identified.removeAll { $0.filter.elementsEqual(request.topic.utf8) && $0.group.utf8.elementsEqual(request.group.utf8) }
        guard let identifier else { return }
        session.identified.append(.init(filter: Array(request.topic.utf8), group: request.group, identifier: identifier))
        // What a message of several subscriptions goes out with is the session's to say from now on.
        if !wasIdentified { engine.askSession(of: client) }
    }

    func unsubscribe(_ packet: Unsubscribe) {
        let reasons = packet.filters.map { filter -> ReasonCode in
            guard let request = try? Self.request(filter) else { return .topicFilterInvalid }
            session?.identified.removeAll { $0.filter.elementsEqual(request.topic.utf8) && $0.group.utf8.elementsEqual(request.group.utf8) }
            if unsubscribeService(request) { return .success }
            return engine.unsubscribe(request, client) ? .success : .noSubscriptionExisted
        }
        let answer = SubscribeAnswer(.unsubscribeAcknowledgement, packet.identifier, reasons)
        engine.acknowledgeOnceConfirmed(.bytes(answer.encoded(version), form), client)
    }

    /// A shared subscription names its group in the filter (MQTT 5.0 §4.8.2); any other is one of the client's own.
    private static func request(_ filter: String) throws(ShuntError) -> SubscriptionRequest {
        // By bytes: a mark that combines with a separator does not make another letter of it.
        guard filter.utf8.starts(with: "$share/".utf8) || filter.utf8.elementsEqual("$share".utf8) else {
            return SubscriptionRequest(topic: filter, group: "")
        }
        let parts = filter.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty, !parts[2].isEmpty, !parts[1].contains(UInt8(ascii: "+")), !parts[1].contains(UInt8(ascii: "#"))
        else {
            throw ShuntError(.topicInvalid, "'\(filter)' is no shared subscription", help: "$share/GROUP/FILTER (MQTT 5.0 §4.8.2)")
        }
        return SubscriptionRequest(topic: String(Substring(parts[2])), group: String(Substring(parts[1])))
    }
}

extension ReasonCode {
    /// Why a subscription is not granted.
    init(refusing code: ErrorCode) {
        self =
            switch code {
            case .topicInvalid, .requestInvalid: .topicFilterInvalid
            case .subscriptionLimit, .memoryLimit: .quotaExceeded
            case .ruleRejected: .notAuthorized
            case .chatElsewhere, .chatFull: .implementationSpecificError
            default: .unspecifiedError
            }
    }
}
