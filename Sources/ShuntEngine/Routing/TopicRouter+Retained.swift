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
    /// Where the search for the rest goes on.
    var place = 0
}

/// Retained messages: each is at home on the loop that its topic's hash names.
extension TopicRouter {
    /// Retained messages that are sent at once; a filter that takes more gets them in parts.
    static let retainedAtOnce = 256
    /// Retained messages that are looked at for one of these parts.
    static let retainedLooks = 4096

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
            } else if retained.keep(topic: topic, packet: packet, qos: qos, expiry: expiry, now: now) == .refused {
                output.figures.retainedRefused += 1
            }
        }
    }

    /// A client has subscribed: what is at home here and what the other loops have is sent to it.
    func askRetained(_ question: RetainedQuestion) {
        output.tell(.askRetained(question))
        answer(question)
    }

    /// Sends the retained messages of this loop that a subscription takes, or begins to.
    func answer(_ question: RetainedQuestion) {
        var filter = question.filter
        let found = filter.withUTF8 { retained.matching(Bytes($0), now: now, atMost: Self.retainedAtOnce) }
        guard found == nil else {
            for reference in found ?? [] { send(reference, question) }
            return
        }
        // Asked again, it begins again: a client has as many answers under way as it has filters, and each is only a place.
        forgetQuestions(of: question.subscriber, filter: question.filter)
        retainedAnswers.append(RetainedAnswer(question: question))
    }

    /// Sends some of the retained messages that clients wait for. A client that does not keep up waits.
    /// - Returns: whether there is more to do at once.
    func sendRetained() -> Bool {
        var place = 0
        var isWaiting = false
        while place < retainedAnswers.count, output.actions.count < LoopEngine.batchSize, output.made.size < LoopEngine.batchBytes {
            let question = retainedAnswers[place].question
            guard index.pressure(of: question.subscriber) != .congested else {
                place += 1
                continue
            }
            var filter = question.filter
            let isMore = filter.withUTF8 { filter in
                retained.scan(Bytes(filter), from: &retainedAnswers[place].place, looks: Self.retainedLooks, now: now) { send($0, question) }
            }
            if isMore {
                isWaiting = true
                place += 1
            } else {
                retainedAnswers.remove(at: place)
            }
        }
        return isWaiting || place < retainedAnswers.count
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
