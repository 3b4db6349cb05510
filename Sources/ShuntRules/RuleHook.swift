import CLuaHost

/// The hooks that rules may have.
enum RuleHook: String, CaseIterable {
    case onLoad = "on_load"
    case onUnload = "on_unload"
    case onConnect = "on_connect"
    case onSubscribe = "on_subscribe"
    case onMessage = "on_message"
    case onDisconnect = "on_disconnect"
    case onRegister = "on_register"
    case onUnsubscribe = "on_unsubscribe"
    case onSelect = "on_select"
    case onBroadcast = "on_broadcast"
    case onChatOpen = "on_chat_open"
    case onChatJoin = "on_chat_join"
    case onChat = "on_chat"
    case onChatClose = "on_chat_close"
    case onDeliver = "on_deliver"
    case onUndelivered = "on_undelivered"
    case onTick = "on_tick"

    /// Its place in the host; nil for hooks that this version does not call.
    var index: shunt_hook? {
        switch self {
        case .onLoad: SHUNT_ON_LOAD
        case .onUnload: SHUNT_ON_UNLOAD
        case .onConnect: SHUNT_ON_CONNECT
        case .onSubscribe: SHUNT_ON_SUBSCRIBE
        case .onMessage: SHUNT_ON_MESSAGE
        case .onDisconnect: SHUNT_ON_DISCONNECT
        default: nil
        }
    }

    static var called: [RuleHook] { allCases.filter { $0.index != nil } }
}
