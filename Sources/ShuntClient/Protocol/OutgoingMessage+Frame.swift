import ExchangeCodec
import ShuntCore

extension OutgoingMessage {
    /// The size of the message's frame, in bytes.
    var frameSize: Int {
        var size = FrameLayout.valueOffset + payload.count + 4 + topic.utf8.count
        if let key, !key.isEmpty { size += 4 + key.utf8.count }
        return size
    }

    /// The reason why the message cannot be sent; nil if it can.
    /// - Parameter frameLimit: the largest frame that the worker takes, in bytes.
    func fault(frameLimit: Int) -> ShuntError? {
        if topic.isEmpty { return ShuntError(.topicInvalid, "the topic is empty", help: "a name such as orders/1") }
        if payload.isEmpty {
            return ShuntError(.requestInvalid, "the payload is empty", help: "the exchange protocol carries at least one byte")
        }
        guard format == .text || format == .json else {
            return ShuntError(.requestInvalid, "a payload of format \(format) can not be sent", help: "text or json")
        }
        guard mqtt == .none else {
            return ShuntError(
                .requestUnsupported, "the exchange protocol carries no QoS, retain flag or properties", help: "MQTT does")
        }
        guard frameSize <= frameLimit else {
            return ShuntError(
                .frameTooLarge, "the message's frame has \(frameSize) bytes",
                help: "at most \(frameLimit); the worker's limits.frame")
        }
        return nil
    }

    /// The fields of the message's frame. Their bytes are valid during the call.
    func withFields(id: Int64, _ body: (FrameFields) -> Void) {
        var topic = topic
        var key = key ?? ""
        payload.withUnsafeBytes { payload in
            topic.withUTF8 { topic in
                key.withUTF8 { key in
                    body(
                        FrameFields(
                            .message, id: id, compression: compression, format: format, value: payload,
                            name: Bytes(topic), key: Bytes(key)))
                }
            }
        }
    }
}
