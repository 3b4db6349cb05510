import ExchangeCodec
import ShuntCore

@testable import ShuntEngine

func connection(_ number: Int) -> ConnectionID { ConnectionID(loop: UInt8(number % 3), slot: UInt32(number), generation: 0) }

func member(_ number: Int, _ uid: String = "", notices: Bool = false) -> ChatMember {
    ChatMember(connection(number), uid: uid, takesNotices: notices)
}

func create(_ member: ChatMember, id: Int64 = 1, chat: String = "c") -> ChatEvent {
    .request(ChatRequest(member, .exchange(id: id), chat: chat, .create, ChatPayload(text: chat)))
}

func send(_ member: ChatMember, _ text: String, id: Int64 = 2, chat: String = "c") -> ChatEvent {
    .request(ChatRequest(member, .exchange(id: id), chat: chat, .session, ChatPayload(text: text)))
}

func destroy(_ member: ChatMember, id: Int64 = 3, chat: String = "c") -> ChatEvent {
    .request(ChatRequest(member, .exchange(id: id), chat: chat, .destroy, ChatPayload(text: chat)))
}

func leave(_ member: ChatMember, id: Int64 = 4, chat: String = "c") -> ChatEvent {
    .request(ChatRequest(member, .exchange(id: id), chat: chat, .leave, ChatPayload(text: chat)))
}

func answer(_ request: UInt64, _ assignment: ChatAssignment, chat: String = "c") -> ChatEvent {
    .answer(chat: chat, request: request, assignment)
}

/// A house whose steps a test writes down one after the other.
final class HouseScript {
    private(set) var house: ChatHouse
    var now = 1000.0

    init(_ settings: ChatSettings) { house = ChatHouse(settings) }

    /// A worker without masters.
    convenience init(members: Int = 2, idle: Double = 3600, notices: Bool = true, limits: ChatSettings.Limits = .init()) {
        self.init(ChatSettings(members: members, idle: idle, notices: notices, hasMasters: false, limits: limits))
    }

    @discardableResult
    func callAsFunction(_ event: ChatEvent, at now: Double? = nil) -> [ChatAction] {
        if let now { self.now = now }
        return house.handle(event, now: self.now)
    }

    /// What members are sent, as short lines: `2<hi` is a text, `2!c` a DESTROY, `2?{…}` a notice.
    @discardableResult
    func sent(_ event: ChatEvent, at now: Double? = nil) -> [String] {
        self(event, at: now).compactMap { action in
            guard case .deliver(let connection, _, let key, let payload) = action else { return nil }
            let mark =
                switch key {
                case .session: "<"
                case .destroy: "!"
                case .notice: "?"
                }
            return "\(connection.slot)\(mark)\(String(decoding: payload.bytes, as: UTF8.self))"
        }
    }

    /// The answers to frames: `1:200`, `1:307 host:port`, `1:403 chat.not_member`.
    @discardableResult
    func answers(_ event: ChatEvent, at now: Double? = nil) -> [String] {
        self(event, at: now).compactMap { action in
            switch action {
            case .acknowledge(let connection, .exchange(let id)), .acknowledgeConfirmed(let connection, .exchange(let id)):
                "\(connection.slot)/\(id):200"
            case .refuse(let connection, .exchange(let id), let error):
                "\(connection.slot)/\(id):\(error.code.exchangeStatus) \(error.code.rawValue)"
            case .redirect(let connection, .exchange(let id), let address): "\(connection.slot)/\(id):307 \(address)"
            default: nil
            }
        }
    }
}
