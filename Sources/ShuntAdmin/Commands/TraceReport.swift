import ShuntCore

/// A message's way, a line a step.
enum TraceReport {
    /// A line of `--output json`.
    struct Line: Encodable {
        var worker: String
        var message: TracedMessage
    }

    static func lines(_ worker: String, _ message: TracedMessage) -> String {
        let head = "\(Humane.time(message.at)) \(worker) loop \(message.loop) #\(message.number)"
        let sender = [message.uid, message.client == message.uid || message.client.isEmpty ? "" : "client \(message.client)", message.address]
        let from = sender.filter { !$0.isEmpty }.joined(separator: ", ")
        var received = "received \(message.topic) from \(from.isEmpty ? "a client that has gone" : from), \(message.bytes) bytes, QoS \(message.qos)"
        if message.retained { received += ", retained" }
        if let key = message.key { received += ", key \(key)" }
        var lines = [received]
        if let compression = message.compression { lines.append("the payload is compressed: \(compression)") }
        if let payload = message.payload { lines.append("payload \(payload)") }
        if let payload = message.payloadBase64 { lines.append("payload (base64) \(payload)") }
        for step in message.steps {
            let why = step.why.isEmpty ? "" : " (\(step.why))"
            let topic = step.topic == message.topic ? "" : ", of topic \(step.topic)"
            let sends = step.sends.isEmpty ? "" : ", sends to \(step.sends.joined(separator: ", "))"
            lines.append("rule \(step.rule): \(step.verdict)\(why)\(topic)\(sends), \(RuleListing.time(step.seconds))")
        }
        let why = message.why.isEmpty ? "" : ": \(message.why)"
        let count = "\(message.recipients) \(message.recipients == 1 ? "recipient" : "recipients")"
        let besides = message.recipients > 0 ? "; what rules sent besides went to \(count)" : ""
        lines.append(message.outcome == "delivered" ? "delivered to \(count)" : "\(message.outcome)\(why)\(besides)")
        return lines.map { Text.printable("\(head) \($0)") + "\n" }.joined()
    }
}
