import ShuntCore

/// The frames of §9 and §11, as clients, workers and masters send them.
extension Frame {
    /// An app's keep alive: no body.
    public static func ping(id: Int64) -> Frame { Frame(.ping, id: id) }

    public static func subscribe(id: Int64, _ body: SubscribeBody) -> Frame {
        Frame(.subscribe, id: id, format: .json, value: body.encoded())
    }

    public static func unsubscribe(id: Int64, _ body: SubscribeBody) -> Frame {
        Frame(.unsubscribe, id: id, format: .json, value: body.encoded())
    }

    public static func register(id: Int64, _ body: RegisterBody) -> Frame {
        Frame(.register, id: id, format: .json, value: body.encoded())
    }

    /// A REGISTER of no device: it shows who the client is, and no more.
    /// - Parameter token: `uid:password`, or a token.
    public static func introduction(id: Int64, token: String) -> Frame {
        Frame(.register, id: id, format: .json, value: JSONWriter.object { $0.member("token", token) })
    }

    public static func notify(id: Int64, _ body: NotifyBody) -> Frame {
        Frame(.notify, id: id, format: .json, value: body.encoded())
    }

    /// An app's CHAT; creating and destroying carry the chat's id as text.
    public static func chat(id: Int64, _ key: ChatKey, chat: String, text: String? = nil) -> Frame {
        Frame(.chat, id: id, text: text ?? chat, name: chat, key: key.rawValue)
    }

    /// A worker's CHAT to the master.
    public static func chat(id: Int64, _ key: ChatKey, chat: String, at host: ChatHostBody) -> Frame {
        Frame(.chat, id: id, format: .json, value: host.encoded(), name: chat, key: key.rawValue)
    }

    /// A worker's PING to the master.
    public static func heartbeat(id: Int64, _ body: HeartbeatBody) -> Frame {
        Frame(.ping, id: id, format: .json, value: body.encoded(), name: HeartbeatBody.frameName)
    }

    public static func allocation(id: Int64, _ request: AllocationRequest) -> Frame {
        request == .all ? Frame(.allocation, id: id, text: "true") : Frame(.allocation, id: id)
    }

    public static func balance(id: Int64, connections: Int) -> Frame {
        Frame(.balance, id: id, text: BalanceTarget.encode(connections))
    }
}
