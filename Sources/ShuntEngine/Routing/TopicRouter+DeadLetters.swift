import MQTTCodec
import ShuntCore

/// Messages that are to go to `rules.dead_letter` when the turn ends: nothing is sent while the message is still being handled.
struct DeadLetters {
    var messages: [OwnedMessage] = []
    var bytes = 0
    /// They are being sent: what becomes of them is no reason for another one.
    var areSent = false

    /// The most messages of a turn, and bytes of them.
    static let mostMessages = 1000
    static let mostBytes = 16 << 20
}

extension TopicRouter {
    /// Keeps a copy of a message that has come to nothing.
    /// - Parameters:
    ///   - why: an error's code, or the reason that `on_undelivered` gets.
    ///   - rule: the name of the rule that is to blame, if one is.
    /// - Returns: whether it is a dead letter; one that is too many is lost.
    @inline(never)
    func keepDeadLetter(_ message: MessageView, why: String, rule: String = "") -> Bool {
        let topic = limits.deadLetterTopic
        guard !topic.isEmpty, !deadLetters.areSent else { return false }
        guard !message.topic.elementsEqual(topic), !message.topic.starts(with: "$SYS/".utf8) else { return false }
        // A retained message waits for subscribers that come later.
        guard !(message.isRetained && limits.mqtt.keepsRetained && rule.isEmpty) else { return false }
        let size = message.topic.count + message.payload.count + message.properties.count
        guard deadLetters.messages.count < DeadLetters.mostMessages, deadLetters.bytes + size <= DeadLetters.mostBytes else {
            output.figures.deadLettersLost += 1
            return true
        }
        deadLetters.bytes += size
        deadLetters.messages.append(letter(message, why: why, rule: rule))
        return true
    }

    /// Clients of the exchange protocol see the reason as the key, those of MQTT 5.0 in user properties, too.
    private func letter(_ message: MessageView, why: String, rule: String) -> OwnedMessage {
        var letter = OwnedMessage(message)
        if letter.properties.isEmpty { letter.properties = Self.properties(of: UTF8Text.isPayload(message.payload) ? message.format : .none) }
        var pairs = [("dead-letter-reason", Bytes.none, why), ("dead-letter-kind", .none, "\(message.kind)")]
        if !message.topic.isEmpty { pairs.append(("dead-letter-topic", message.topic, "")) }
        if !rule.isEmpty { pairs.append(("dead-letter-rule", .none, rule)) }
        if let key = message.key { pairs.append(("dead-letter-key", key, "")) }
        for (name, bytes, text) in pairs {
            letter.properties.append(Self.userProperty)
            Self.append(Array(name.utf8), to: &letter.properties)
            // A topic or key of the exchange protocol need not be UTF-8, which a property has to be.
            let value = text.isEmpty ? Array(String(decoding: bytes, as: UTF8.self).utf8) : Array(text.utf8)
            Self.append(value.count > Self.mostText ? [] : value, to: &letter.properties)
        }
        letter.kind = .topic
        letter.topic = limits.deadLetterTopic
        letter.key = Array(why.utf8)
        return letter
    }

    private static let userProperty: UInt8 = 38
    private static let mostText = 65_535

    /// The payload format and the content type that a format stands for.
    private static func properties(of format: PayloadFormat) -> [UInt8] {
        let type = format == .json ? "application/json" : "text/plain"
        guard format == .json || format == .text else { return [] }
        var properties: [UInt8] = [1, 1, 3]
        append(Array(type.utf8), to: &properties)
        return properties
    }

    private static func append(_ text: [UInt8], to properties: inout [UInt8]) {
        properties += [UInt8(text.count >> 8), UInt8(text.count & 0xFF)] + text
    }

    /// The turn ends: dead letters go to those who have subscribed their topic. No rule's `on_message` sees them.
    @inline(never)
    func sendDeadLetters() {
        let letters = deadLetters.messages
        (deadLetters.messages, deadLetters.bytes, deadLetters.areSent) = ([], 0, true)
        defer { deadLetters.areSent = false }
        publish(by: .none, nil) {
            for letter in letters {
                let count = letter.withView(id: makeID()) { view in
                    let route = route(of: view.topic, last: .none)
                    guard !route.isNone else { return 0 }
                    self.count(view, route)
                    return deliverMade(view, route)
                }
                if count > 0 { output.figures.deadLetters += 1 } else { output.figures.deadLettersLost += 1 }
            }
        }
    }
}

extension UndeliveredReason {
    /// What was dropped at a bound, or had no recipient at all.
    var isForDeadLetters: Bool { self == .nobodySubscribed || self == .noDevice || self == .queueFull }
}
