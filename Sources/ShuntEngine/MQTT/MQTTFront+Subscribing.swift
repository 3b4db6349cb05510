import MQTTCodec
import ShuntCore

/// SUBSCRIBE and UNSUBSCRIBE.
extension MQTTFront {
    /// Each filter is answered by itself, once all loops know it.
    func subscribe(_ packet: Subscribe) {
        let number = engine.beginSubscribe()
        subscribe(packet, from: 0, nil, WaitingSubscribe(client: client, identifier: packet.identifier), number)
    }

    /// Subscribes the filters from one on.
    /// - Parameter decided: what rules have decided about that one already.
    private func subscribe(_ packet: Subscribe, from first: Int, _ decided: WaitedOutcome?, _ begun: WaitingSubscribe, _ number: UInt32) {
        var waiting = begun
        var decided = decided
        for place in first..<packet.filters.count {
            let filter = packet.filters[place]
            do throws(ShuntError) {
                let outcome = decided
                decided = nil
                let reason = try subscribe(filter, packet.properties.subscriptionIdentifiers.first, outcome, &waiting.questions) {
                    waiting.open[UInt16(place)] = filter.filter
                    return .filter(number, place: UInt16(place))
                }
                if engine.isWaiting(client) {
                    engine.suspend(waiting, number)
                    return engine.whenDecided(client) { [client] engine, outcome in
                        guard let waiting = engine.resumeSubscribe(number) else { return }
                        MQTTFront(engine, client).subscribe(packet, from: place, outcome, waiting, number)
                    }
                }
                waiting.reasons.append(reason ?? ReasonCode(rawValue: filter.qos.rawValue) ?? .success)
            } catch {
                router.output.figures.failed += 1
                waiting.refuse(place, error)
            }
        }
        engine.answer(waiting, number)
    }

    /// - Parameter later: names the filter, where it is answered later.
    /// - Returns: its code; nil where it is answered later.
    private func subscribe(
        _ filter: Subscribe.Filter, _ identifier: UInt32?, _ decided: WaitedOutcome?, _ questions: inout [RetainedQuestion],
        later: () -> Receipt
    ) throws(ShuntError) -> ReasonCode? {
        var request = try Self.request(filter.filter)
        request.qos = filter.qos
        try engine.check(request, mayHaveNoGroup: true)
        switch try subscribeService(request, filter.qos, decided?.register, later) {
        case .done(let reason, _)?: return reason
        case .later?: return nil
        case nil: break
        }
        if filter.qos > .atMostOnce || identifier != nil { _ = engine.needSession(client) }
        note(identifier, request)
        let terms = DeliveryTerms(
            form, qos: filter.qos, isNoLocal: filter.isNoLocal, isRetainAsPublished: filter.isRetainAsPublished,
            asksSession: session?.looksAtAll ?? false, isShared: !request.group.isEmpty)
        let (asked, before) = (request, engine.standing(request, client))
        let (entered, isKnown) = try replace(&request, terms, decided?.subscribe)
        guard entered == .entered else { return .unspecifiedError }
        if SubscriptionName(request) != SubscriptionName(asked) {
            forgetIdentifier(asked)
            note(identifier, request)
        }
        if SubscriptionName(request) != SubscriptionName(before) { forgetIdentifier(before) }
        let (granted, isInGroup) = (terms.with(qos: request.qos), !request.group.isEmpty)
        if isInGroup { session?.hasSharedSubscriptions = true }
        let wantsRetained = filter.retainHandling == .send || (filter.retainHandling == .sendIfNew && !isKnown)
        // Nothing that is retained goes to a shared subscription (5.0 §4.8.2).
        if wantsRetained, !isInGroup {
            questions.append(RetainedQuestion(filter: request.topic, subscriber: engine.subscriber(of: client), terms: granted))
        }
        return ReasonCode(rawValue: granted.qos.rawValue) ?? .success
    }

    /// Enters a subscription. One that is there already is replaced (MQTT-3.8.4-3); where rules look something up, it stays until they have
    /// decided.
    private func replace(
        _ request: inout SubscriptionRequest, _ terms: DeliveryTerms, _ decided: SubscribeOutcome?
    ) throws(ShuntError) -> (LoopEngine.Subscribing, isKnown: Bool) {
        guard router.hooks?.wanted.contains(.lookups) == true || decided != nil else {
            let isKnown = engine.giveUp(request, client)
            return (try engine.subscribe(&request, terms: terms, client), isKnown)
        }
        let before = request
        let isKnown = engine.hasAsked(for: before, client)
        if isKnown, decided == nil, engine.isLast(before, client) { engine.tellUnsubscribed(engine.standing(before, client), client) }
        do throws(ShuntError) {
            return (try engine.subscribe(&request, terms: terms, decided: decided, replacing: isKnown ? before : nil, client), isKnown)
        } catch {
            if isKnown { _ = engine.giveUp(before, tellsRules: false, client) }
            throw error
        }
    }

    /// The subscription's identifier, or none any longer.
    private func note(_ identifier: UInt32?, _ request: SubscriptionRequest) {
        guard let session else { return }
        let wasIdentified = !session.identified.isEmpty
        session.identified.removeAll { $0.filter.elementsEqual(request.topic.utf8) && $0.group.utf8.elementsEqual(request.group.utf8) }
        guard let identifier else { return }
        session.identified.append(.init(filter: Array(request.topic.utf8), group: request.group, identifier: identifier))
        // What a message of several subscriptions goes out with is the session's to say from now on.
        if !wasIdentified { engine.changeTerms(of: engine.subscriber(of: client)) { $0.askingSession } }
    }

    /// A subscription may have ended. Rules may have made the same of another one that the client has asked for: then it stands.
    private func forgetIdentifier(_ request: SubscriptionRequest) {
        if !engine.isSubscribed(request, client) { note(nil, request) }
    }

    func unsubscribe(_ packet: Unsubscribe) {
        let reasons = packet.filters.map { filter -> ReasonCode in
            guard let request = try? Self.request(filter) else { return .topicFilterInvalid }
            engine.settleOpen(filter, of: client)
            if let wasThere = unsubscribeService(request) { return wasThere ? .success : .noSubscriptionExisted }
            let before = engine.standing(request, client)
            defer { forgetIdentifier(before) }
            return engine.giveUp(request, client) ? .success : .noSubscriptionExisted
        }
        let bytes = SubscribeAnswer(.unsubscribeAcknowledgement, packet.identifier, reasons).encoded(version)
        guard takes(bytes) else { return engine.close(client, .frameTooLarge) }
        engine.acknowledgeOnceConfirmed(.bytes(bytes, form), client)
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

/// A SUBSCRIBE some of whose filters are chats, which answer when they can.
struct WaitingSubscribe {
    var client: ConnectionID
    /// 0: nobody waits for the answer, since a session has gone on.
    var identifier: UInt16
    var reasons: [ReasonCode] = []
    var questions: [RetainedQuestion] = []
    /// The chats that have not answered yet, by their places among the filters.
    var open: [UInt16: String] = [:]
    /// Of a filter that was refused.
    var properties = Properties.none
    /// Whether rules look something up about one of its filters: those behind it have not been looked at.
    var isSuspended = false

    /// - Parameter place: of a filter that has a reason, or of the next one.
    mutating func refuse(_ place: Int, _ error: ShuntError) {
        let reason = ReasonCode(refusing: error.code)
        if place < reasons.count { reasons[place] = reason } else { reasons.append(reason) }
        properties.reasonString = error.message
        guard error.code == .chatElsewhere else { return }
        // Where the worker that has the chat serves clients like this one.
        properties.reasonString = "the chat is at another worker" + (error.message.isEmpty ? ", which has no listener of this one's name" : "")
        guard !error.message.isEmpty else { return }
        properties.userProperties.append(.init("redirect", error.message))
    }
}

extension LoopEngine {
    /// A SUBSCRIBE is being read: chats may answer before it is read to its end.
    func beginSubscribe() -> UInt32 {
        lastSubscribe &+= 1
        readSubscribe = lastSubscribe
        return lastSubscribe
    }

    /// Answers a SUBSCRIBE that has been read, or keeps it until its last filter has an answer.
    func answer(_ subscribe: WaitingSubscribe, _ number: UInt32) {
        var subscribe = subscribe
        readSubscribe = nil
        for early in earlyAnswers { settle(&subscribe, early.place, early.error) }
        earlyAnswers = []
        answerIfSettled(subscribe, number)
    }

    private func answerIfSettled(_ subscribe: WaitingSubscribe, _ number: UInt32) {
        guard subscribe.open.isEmpty, !subscribe.isSuspended else {
            waitingSubscribes[number] = subscribe
            return
        }
        guard subscribe.identifier != 0 else { return }
        let front = MQTTFront(self, subscribe.client)
        var answer = SubscribeAnswer(.subscribeAcknowledgement, subscribe.identifier, subscribe.reasons)
        // One that wants no words gets no user properties either (MQTT-3.1.2-29).
        if front.version.hasProperties, front.session?.wantsReasons ?? true { answer.properties = subscribe.properties }
        // What there is to say besides must not make it more than the client takes.
        if !front.takes(answer.encoded(front.version)) { answer.properties = .none }
        let bytes = answer.encoded(front.version)
        guard front.takes(bytes) else { return close(subscribe.client, .frameTooLarge) }
        acknowledgeOnceConfirmed(.subscribed(bytes, front.form, subscribe.questions), subscribe.client)
    }

    /// Rules look something up about one of its filters. Chats may answer meanwhile.
    func suspend(_ subscribe: WaitingSubscribe, _ number: UInt32) {
        var suspended = subscribe
        suspended.isSuspended = true
        answer(suspended, number)
    }

    /// It is read on.
    /// - Returns: nil where its client has gone.
    func resumeSubscribe(_ number: UInt32) -> WaitingSubscribe? {
        guard var subscribe = waitingSubscribes.removeValue(forKey: number) else { return nil }
        subscribe.isSuspended = false
        readSubscribe = number
        return subscribe
    }

    /// A chat has let the client in, or has not.
    func granted(_ number: UInt32, _ place: UInt16, _ error: ShuntError?) {
        guard var subscribe = waitingSubscribes.removeValue(forKey: number) else {
            // Else its client has gone.
            if number == readSubscribe { earlyAnswers.append((place, error)) }
            return
        }
        settle(&subscribe, place, error)
        answerIfSettled(subscribe, number)
    }

    /// A filter is given up that a SUBSCRIBE still waits for: that is answered first, since the client takes what it hears last to be so.
    func settleOpen(_ filter: String, of client: ConnectionID) {
        for (number, subscribe) in waitingSubscribes where subscribe.client == client {
            var settled = subscribe
            settled.open = subscribe.open.filter { ExactText($0.value) != ExactText(filter) }
            guard settled.open.count < subscribe.open.count else { continue }
            waitingSubscribes[number] = nil
            answerIfSettled(settled, number)
        }
    }

    private func settle(_ subscribe: inout WaitingSubscribe, _ place: UInt16, _ error: ShuntError?) {
        guard let filter = subscribe.open.removeValue(forKey: place), let error else { return }
        subscribe.refuse(Int(place), error)
        MQTTFront(self, subscribe.client).forgetChat(filter)
    }

    /// A client has gone: nobody waits for the rest of its SUBSCRIBE packets.
    func forgetSubscribes(of connection: ConnectionID) {
        if !waitingSubscribes.isEmpty { waitingSubscribes = waitingSubscribes.filter { $0.value.client != connection } }
    }
}

extension ReasonCode {
    /// Why a subscription is not granted.
    init(refusing code: ErrorCode) {
        self =
            switch code {
            case .topicInvalid, .requestInvalid: .topicFilterInvalid
            case .subscriptionLimit, .memoryLimit: .quotaExceeded
            case .ruleRejected, .accessDenied: .notAuthorized
            case .chatElsewhere, .chatFull, .chatInvalid, .masterUnavailable: .implementationSpecificError
            default: .unspecifiedError
            }
    }
}
