import ShuntClient
import ShuntCore

/// Writes the notifications of a device as lines.
public struct NotificationPrinter: Sendable {
    public enum Style: String, Sendable, CaseIterable {
        /// The message; control characters are escaped.
        case text
        /// A JSON object: the message, the filter that it was sent with, the id.
        case json
    }

    private let style: Style
    private let hasTime: Bool

    /// - Parameter hasTime: whether a line begins with the time of arrival.
    public init(style: Style, hasTime: Bool = false) {
        self.style = style
        self.hasTime = hasTime
    }

    /// - Parameter milliseconds: the time of arrival, since 1970.
    public func append(_ notification: DeviceNotification, at milliseconds: Int64, to line: inout [UInt8]) {
        switch style {
        case .text:
            if hasTime { line += (Timestamp.text(milliseconds) + "\t").utf8 }
            line.appendEscaped(Array((notification.message ?? "").utf8))
        case .json:
            line += "{".utf8
            if hasTime { line += "\"time\":\"\(Timestamp.text(milliseconds))\",".utf8 }
            append(notification.filter, to: &line)
            if let message = notification.message {
                line += "\"message\":".utf8
                line.appendJSON(message)
                line += ",".utf8
            }
            line += "\"id\":\"\(notification.id)\"}".utf8
        }
        line.append(UInt8(ascii: "\n"))
    }

    /// The filter's fields that were given.
    private func append(_ filter: DeviceFilter, to line: inout [UInt8]) {
        for case (let key, let text?) in [("uid", filter.uid), ("device", filter.device)] {
            line += "\"\(key)\":".utf8
            line.appendJSON(text)
            line += ",".utf8
        }
        let lists = [
            ("match_tags", filter.matchTags), ("match_alias", filter.matchAlias), ("filter_tags", filter.filterTags),
            ("filter_alias", filter.filterAlias),
        ]
        for case (let key, let texts?) in lists {
            line += "\"\(key)\":[".utf8
            for (number, text) in texts.enumerated() {
                if number > 0 { line += ",".utf8 }
                line.appendJSON(text)
            }
            line += "],".utf8
        }
    }
}
