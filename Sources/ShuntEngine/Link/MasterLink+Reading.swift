import ExchangeCodec
import ShuntCore

/// What a master's frames say.
extension MasterLink {
    static func balance(_ frame: Frame) -> [Action] {
        guard let target = try? frame.value.withUnsafeBytes({ try BalanceTarget.decode($0) }) else { return [] }
        return [.balance(connections: target)]
    }

    /// Of a redirection by one of Shunt's own masters.
    static func addresses(_ frame: Frame) -> WorkerAddresses? {
        guard frame.status == FrameStatus.temporaryRedirect, frame.text.hasPrefix("{") else { return nil }
        return frame.value.withUnsafeBytes { try? WorkerAddresses(decoding: $0) }
    }

    static func room(_ frame: Frame) -> [Action] {
        guard !frame.isError, let body = try? frame.value.withUnsafeBytes({ try RoomBody(decoding: $0) }) else { return [] }
        return [.room(body.workers)]
    }
}
