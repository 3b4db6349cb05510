import MQTTCodec
import ShuntCore

/// Asks for the retained messages that a new subscription takes (MQTT 5.0 §3.3.1.3).
public struct RetainedQuestion: Equatable, Sendable {
    public var filter: String
    public var subscriber: ConnectionID
    public var terms: DeliveryTerms
}

/// Retained messages that are still to be sent for one question: a few at a time, so that a filter that takes all holds nobody up.
struct RetainedAnswer {
    var question: RetainedQuestion
    /// Where the search for the rest goes on; nil before it has begun.
    var place: Int?
}

/// Retained messages: each is at home on the loop that its topic's hash names.
extension TopicRouter {
    /// Looks at retained messages, or at levels of their topics, in a turn: about a quarter of a millisecond.
    static let retainedLooks = 4096
    /// Looks for one question in a turn.
    static let retainedLooksOfOne = 1024
    /// Questions that are looked at in a turn.
    static let retainedQuestions = 256

    /// A message with the retain flag has come, or rules have made one.
    func retain(_ message: MessageView) {
        let home = output.loops > 1 ? Int(ByteHash.of(message.topic)) % output.loops : 0
        var packet: [UInt8] = []
        // An empty payload clears what is kept (MQTT-3.3.1-6).
        if !message.payload.isEmpty {
            guard let encoded = encoder.encodeForKeeping(message) else {
                output.figures.inexpressible += 1
                return
            }
            packet = encoded
        }
        let topic = Array(message.topic)
        if home == Int(output.loop) {
            keepRetained(topic, packet, message.qos, expiry: message.expiry)
        } else {
            output.tell(.retain(topic: topic, packet: packet, message.qos, expiry: message.expiry), loop: UInt8(home))
        }
    }

    /// The message's topic is at home here.
    func keepRetained(_ topic: [UInt8], _ packet: [UInt8], _ qos: QoS, expiry: UInt32) {
        topic.withUnsafeBytes { topic in
            if packet.isEmpty {
                retained.remove(topic: topic)
            } else if retained.keep(topic: topic, packet: packet, qos: qos, expiry: expiry, now: now) == .refused, !topic.starts(with: "$SYS/".utf8) {
                output.figures.retainedRefused += 1
            }
        }
    }

    /// A client has subscribed: what is at home here and what the other loops have is sent to it.
    func askRetained(_ question: RetainedQuestion) {
        output.tell(.askRetained(question))
        answer(question)
    }

    /// A subscription is to get the retained messages of this loop that it takes: at once, if they are few and the turn has not had enough of
    /// that; else at the end of this turn and of those that follow.
    func answer(_ question: RetainedQuestion) {
        // Asked again, it begins again: a client has as many answers under way as it has filters, and each is only a place.
        forgetQuestions(of: question.subscriber, filter: question.filter)
        retainedIdle = 0
        var answer = RetainedAnswer(question: question)
        guard retainedLooks <= 0 || goOn(&answer, &retainedLooks) else { return }
        retainedAnswers.append(answer)
    }

    /// Sends some of the retained messages that clients wait for, to each in turn. A client that does not keep up waits.
    /// - Returns: whether there is more to do at once.
    func sendRetained() -> Bool {
        defer { retainedLooks = Self.retainedLooks }
        guard !retainedAnswers.isEmpty else { return false }
        var looks = max(retainedLooks, Self.retainedLooksOfOne)
        for _ in 0..<Self.retainedQuestions {
            guard retainedIdle < retainedAnswers.count else { return false }
            guard looks > 0, output.actions.count < LoopEngine.batchSize, output.made.size < LoopEngine.batchBytes else { return true }
            if retainedAt >= retainedAnswers.count { retainedAt = 0 }
            if index.pressure(of: retainedAnswers[retainedAt].question.subscriber) == .congested {
                retainedIdle += 1
                retainedAt += 1
                continue
            }
            retainedIdle = 0
            if goOn(&retainedAnswers[retainedAt], &looks) {
                retainedAt += 1
            } else {
                retainedAnswers.swapAt(retainedAt, retainedAnswers.count - 1)
                retainedAnswers.removeLast()
            }
        }
        return retainedIdle < retainedAnswers.count
    }

    /// Most filters take few messages, which the levels of their topics lead to; for the others all messages are gone through.
    /// - Returns: whether there is more to do.
    private func goOn(_ answer: inout RetainedAnswer, _ looks: inout Int) -> Bool {
        let question = answer.question
        var filter = question.filter
        var own = min(looks, Self.retainedLooksOfOne)
        looks -= own
        return filter.withUTF8 { filter in
            guard var place = answer.place else {
                let found = retained.matching(Bytes(filter), now: now, looks: &own)
                looks += max(0, own)
                for reference in found ?? [] { send(reference, question) }
                answer.place = 0
                return found == nil
            }
            let isMore = retained.scan(Bytes(filter), from: &place, looks: own, now: now) { send($0, question) }
            answer.place = place
            return isMore
        }
    }

    /// A client's subscription, or all of them, have gone: what it waits for is not sent.
    func forgetQuestions(of subscriber: ConnectionID, filter: String? = nil) {
        guard !retainedAnswers.isEmpty else { return }
        retainedAnswers.removeAll { answer in
            answer.question.subscriber == subscriber && (filter.map { $0.utf8.elementsEqual(answer.question.filter.utf8) } ?? true)
        }
    }

    private func send(_ reference: RetainedMessages.Reference, _ question: RetainedQuestion) {
        guard let message = retained.message(reference, now: now) else { return }
        let terms = question.terms
        message.packet.withUnsafeBytes { packet in
            guard let publish = WireEncoder.publish(in: packet, .mqtt5) else { return }
            var view = MessageView(publish, sender: .nobody)
            if let properties = try? PublishProperties(publish.encodedProperties) { view.take(properties) }
            (view.qos, view.isRetained, view.expiry) = (min(message.qos, terms.qos), true, message.expiry)
            let isTimed = view.expiry != MessageView.noExpiry
            let form = view.qos == .atMostOnce ? terms.form : isTimed ? .mqtt5Numbered : terms.form.numbered
            guard let stretch = encoder.encode(view, form) else { return }
            let handOver = HandOver(qos: view.qos, isRetained: true, isShared: false)
            let subscriber = question.subscriber
            output.actions.append(
                subscriber.loop == output.loop ? .hand(subscriber, stretch, handOver) : .forwardHandOver(subscriber, stretch, handOver))
        }
    }
}
