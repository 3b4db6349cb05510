import ShuntClient
import ShuntCore

/// Writes messages as lines.
public struct MessagePrinter: Sendable {
    public enum Style: String, Sendable, CaseIterable {
        /// Topic, key and payload with tabs between; control characters are escaped.
        case text
        /// A JSON object.
        case json
        /// The payload as it came, and a line feed.
        case payload
    }

    private let style: Style
    private let isTerminal: Bool
    private let hasTime: Bool

    /// - Parameters:
    ///   - isTerminal: whether a terminal shows the lines: no payload may steer it.
    ///   - hasTime: whether a line begins with the time of arrival.
    public init(style: Style, isTerminal: Bool, hasTime: Bool = false) {
        self.style = style
        self.isTerminal = isTerminal
        self.hasTime = hasTime
    }

    /// - Parameter milliseconds: the time of arrival, since 1970.
    public func append(_ message: ReceivedMessage, at milliseconds: Int64, to line: inout [UInt8]) {
        let unpacked = unpack(message)
        switch style {
        case .text: appendText(message, unpacked ?? message.payload, milliseconds, to: &line)
        case .json: appendJSON(message, unpacked, milliseconds, to: &line)
        case .payload:
            let payload = unpacked ?? message.payload
            if isTerminal { line.appendEscaped(payload, keepingLines: true) } else { line += payload }
        }
        line.append(UInt8(ascii: "\n"))
    }

    /// The payload, unpacked; nil if it is compressed and broken.
    private func unpack(_ message: ReceivedMessage) -> [UInt8]? {
        do throws(ShuntError) { return try message.unpackedPayload() } catch { return nil }
    }

    private func appendText(_ message: ReceivedMessage, _ payload: [UInt8], _ milliseconds: Int64, to line: inout [UInt8]) {
        if hasTime { line += (Timestamp.text(milliseconds) + "\t").utf8 }
        line.appendEscaped(Array(message.topic.utf8))
        line.append(UInt8(ascii: "\t"))
        line.appendEscaped(Array((message.key ?? "").utf8))
        line.append(UInt8(ascii: "\t"))
        line.appendEscaped(payload)
    }

    private func appendJSON(_ message: ReceivedMessage, _ unpacked: [UInt8]?, _ milliseconds: Int64, to line: inout [UInt8]) {
        line += "{".utf8
        if hasTime { line += "\"time\":\"\(Timestamp.text(milliseconds))\",".utf8 }
        line += "\"topic\":".utf8
        line.appendJSON(message.topic)
        if let key = message.key {
            line += ",\"key\":".utf8
            line.appendJSON(key)
        }
        line += ",\"format\":\"\(message.format)\"".utf8
        if let text = unpacked.flatMap({ String(validating: $0, as: UTF8.self) }) {
            line += ",\"payload\":".utf8
            line.appendJSON(text)
        } else {
            line += ",\"payload\":\"".utf8
            line.appendBase64(unpacked ?? message.payload)
            line += "\",\"encoding\":\"base64\"".utf8
            if unpacked == nil { line += ",\"compression\":\"\(message.compression)\"".utf8 }
        }
        if let mqtt = message.mqtt { return append(mqtt, to: &line) }
        // The id is a string: many JSON readers take numbers for doubles, and would lose digits.
        line += ",\"id\":\"\(message.id)\"}".utf8
    }

    /// The last members of the object. User properties are pairs: their order counts, and names may repeat.
    private func append(_ mqtt: MQTTProperties, to line: inout [UInt8]) {
        line += ",\"qos\":\(mqtt.qos?.rawValue ?? 0),\"retain\":\(mqtt.isRetained)".utf8
        if mqtt.isDuplicate { line += ",\"duplicate\":true".utf8 }
        for case (let name, let text?) in [("content_type", mqtt.contentType), ("response_topic", mqtt.responseTopic)] {
            line += ",\"\(name)\":".utf8
            line.appendJSON(text)
        }
        if let data = mqtt.correlationData {
            line += ",\"correlation\":\"".utf8
            line.appendBase64(data)
            line += "\"".utf8
        }
        if let seconds = mqtt.messageExpiry { line += ",\"expiry\":\(seconds)".utf8 }
        if !mqtt.subscriptionIdentifiers.isEmpty {
            line += ",\"subscriptions\":[\(mqtt.subscriptionIdentifiers.map { "\($0)" }.joined(separator: ","))]".utf8
        }
        if !mqtt.userProperties.isEmpty {
            line += ",\"properties\":[".utf8
            for (number, pair) in mqtt.userProperties.enumerated() {
                line += (number > 0 ? ",[" : "[").utf8
                line.appendJSON(pair.name)
                line += ",".utf8
                line.appendJSON(pair.value)
                line += "]".utf8
            }
            line += "]".utf8
        }
        line += "}".utf8
    }
}
