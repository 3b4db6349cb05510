import ExchangeCodec

/// What members that asked for notices are told of the others. The value of a CHAT frame with the key `NOTICE`.
enum ChatNotice {
    case present, joined, left, rejoined, expired
    case moved(to: String)

    func payload(about member: ChatMember? = nil) -> ChatPayload {
        let body = ChatNoticeBody(event: name, uid: member?.uid, name: member?.name, to: address)
        return ChatPayload(body.encoded(), format: .json)
    }

    private var name: String {
        switch self {
        case .present: "present"
        case .joined: "joined"
        case .left: "left"
        case .rejoined: "rejoined"
        case .expired: "expired"
        case .moved: "moved"
        }
    }

    private var address: String? {
        if case .moved(let address) = self { address } else { nil }
    }
}
