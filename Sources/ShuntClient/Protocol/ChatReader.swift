import ExchangeCodec
import ShuntCore

/// Makes events of a chat's frames, and remembers the other members. A value: frame in, event out.
struct ChatReader: SessionReader, Equatable {
    let chat: String
    /// Other members that notices have told of. Members that are away stay in it, since they may come back.
    private(set) var others: Set<ChatPeer> = []
    /// A chat has up to 64 members: names beyond that number are ignored.
    private static let mostOthers = 64

    init(chat: String) { self.chat = chat }

    func read(_ news: SessionNews) -> ChatEvent? {
        switch news {
        case .attached(let worker, let isBack): return isBack ? .reconnected(worker) : .entered(worker)
        case .lost(let worker, let error): return .lost(worker, error)
        case .redirected(_, let address): return .moved(to: address)
        }
    }

    mutating func read(_ frame: Frame) -> SessionReading<ChatEvent> {
        if frame.type == .notify, !frame.isError {
            return SessionReading(message: .notification(DeviceNotification(frame)))
        }
        guard frame.type == .chat, !frame.isError, frame.name == chat else { return SessionReading() }
        switch frame.key {
        case "SESSION":
            let sender = others.count == 1 ? others.first : nil
            return SessionReading(
                message: .message(
                    ChatMessage(
                        sender: sender, payload: frame.value, format: frame.format, compression: frame.compression)))
        case "DESTROY": return SessionReading(message: .closed, turn: .over(.chatOver))
        case "NOTICE": return read(notice: frame)
        default: return SessionReading()
        }
    }

    private mutating func read(notice frame: Frame) -> SessionReading<ChatEvent> {
        let notice: ChatNoticeBody
        do throws(ShuntError) {
            notice = try frame.decoding { bytes throws(ShuntError) in try ChatNoticeBody(decoding: bytes) }
        } catch {
            return SessionReading()
        }
        switch notice.event {
        case "moved": return SessionReading(turn: notice.to.flatMap { HostPort($0) }.map { .moved(to: $0) })
        case "replaced": return SessionReading(message: .replaced, turn: .failed(.replaced))
        default:
            remember(ChatPeer(uid: notice.uid, name: notice.name), isMember: notice.event != "expired" && !notice.isForGood)
            return read(notice.event, of: ChatPeer(uid: notice.uid, name: notice.name))
        }
    }

    private func read(_ event: String, of peer: ChatPeer) -> SessionReading<ChatEvent> {
        switch event {
        case "joined": return SessionReading(message: .joined(peer))
        case "left": return SessionReading(message: .left(peer))
        case "rejoined": return SessionReading(message: .rejoined(peer))
        case "expired": return SessionReading(message: .expired(peer))
        // `present`, for a member that joined earlier, online or not, and events that this version does not know: each tells that the
        // member exists.
        default: return SessionReading()
        }
    }

    private mutating func remember(_ peer: ChatPeer, isMember: Bool) {
        others = others.filter { $0.uid == nil || $0.uid != peer.uid }
        if !isMember { others.remove(peer) } else if others.count < Self.mostOthers { others.insert(peer) }
    }
}

extension ShuntError {
    static let replaced = ShuntError(
        .sessionReplaced, "your place was taken by another connection of the same name",
        help: "a name is one member at a time: end the other one, or take another name")
    static let chatOver = ShuntError(.chatUnknown, "the chat has been closed", help: "join it again to open a new one")
}
