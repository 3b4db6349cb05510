import ExchangeCodec

/// What members that asked for notices are told of the others. The value of a CHAT frame with the key `NOTICE`.
enum ChatNotice {
    case joined, rejoined, expired, replaced
    /// Has lost its connection, or given up its place.
    case left(forGood: Bool)
    /// Was there before the receiver; away where it is not online.
    case present(isOnline: Bool)
    case moved(to: String)

    func payload(about member: ChatMember? = nil) -> ChatPayload {
        let body = ChatNoticeBody(event: name, uid: member?.uid, name: member?.name, to: address, isOnline: isOnline, isForGood: isForGood)
        return ChatPayload(body.encoded(), format: .json)
    }

    private var name: String {
        switch self {
        case .present: "present"
        case .joined: "joined"
        case .left: "left"
        case .rejoined: "rejoined"
        case .expired: "expired"
        case .replaced: "replaced"
        case .moved: "moved"
        }
    }

    /// Said only where it is false.
    private var isOnline: Bool? {
        if case .present(isOnline: false) = self { false } else { nil }
    }

    private var isForGood: Bool {
        if case .left(forGood: true) = self { true } else { false }
    }

    private var address: String? {
        if case .moved(let address) = self { address } else { nil }
    }
}
