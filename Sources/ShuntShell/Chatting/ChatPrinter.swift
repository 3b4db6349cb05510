import ShuntClient
import ShuntCore

/// Writes the events of a chat as lines: `TIME ann: hello` for a message, `TIME * ann has left` for the rest. Text of others is escaped: a
/// message is one line, and steers no terminal.
public struct ChatPrinter: Sendable {
    private let isTerminal: Bool

    /// - Parameter isTerminal: whether people read along, for whom the time of day is enough. Otherwise the time is UTC with the date.
    public init(isTerminal: Bool) { self.isTerminal = isTerminal }

    /// - Parameter milliseconds: the time of arrival, since 1970.
    public func append(_ event: ChatEvent, at milliseconds: Int64, to lines: inout [UInt8]) {
        guard case .message(let message) = event else {
            lines += (time(milliseconds) + " * ").utf8
            lines.appendEscaped(Array(Self.text(of: event).utf8))
            return lines.append(UInt8(ascii: "\n"))
        }
        lines += (time(milliseconds) + " ").utf8
        lines.appendEscaped(Array((message.sender?.description ?? "someone").utf8))
        lines += ": ".utf8
        lines.appendEscaped(unpack(message))
        lines.append(UInt8(ascii: "\n"))
    }

    private func time(_ milliseconds: Int64) -> String {
        isTerminal ? Timestamp.timeOfDay(milliseconds) : Timestamp.text(milliseconds)
    }

    /// A compressed payload that is broken stays as it came.
    private func unpack(_ message: ChatMessage) -> [UInt8] {
        do throws(ShuntError) { return try message.unpackedPayload() } catch { return message.payload }
    }

    private static func text(of event: ChatEvent) -> String {
        switch event {
        case .message: ""
        case .entered(let address): "in the chat, at \(address)"
        case .joined(let peer): "\(peer) has joined"
        case .left(let peer): "\(peer) has left"
        case .rejoined(let peer): "\(peer) is back"
        case .expired(let peer): "\(peer) did not come back"
        case .moved(let address): "redirected to \(address)"
        case .lost(let address, let error): "reconnecting: lost \(address), \(error.message)"
        case .reconnected(let address): "back at \(address)"
        case .notification(let notification): "broadcast: \(notification.message ?? "")"
        case .replaced: "your place was taken by another connection of the same name"
        case .closed: "the chat has been closed"
        }
    }
}
