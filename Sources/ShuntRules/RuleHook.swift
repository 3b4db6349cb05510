import CLuaHost
import ShuntCore

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
        case .onBroadcast: SHUNT_ON_BROADCAST
        case .onChatOpen: SHUNT_ON_CHAT_OPEN
        case .onChatJoin: SHUNT_ON_CHAT_JOIN
        case .onChat: SHUNT_ON_CHAT
        case .onChatClose: SHUNT_ON_CHAT_CLOSE
        case .onDeliver: SHUNT_ON_DELIVER
        case .onUndelivered: SHUNT_ON_UNDELIVERED
        default: nil
        }
    }

    static let called: [RuleHook] = allCases.filter { $0.index != nil }

    /// The kinds of messages that it is about, which a rule's `match` may narrow; nil for hooks that `match` is nothing to.
    var kinds: Set<MessageKind>? {
        switch self {
        case .onMessage: [.topic]
        case .onBroadcast: [.broadcast]
        case .onChatOpen, .onChatJoin, .onChat, .onChatClose: [.chat]
        case .onDeliver, .onUndelivered: Set(MessageKind.allCases)
        default: nil
        }
    }

    /// Its place among those that the router calls only where a rule has them.
    var wanted: RuleHookSet {
        switch self {
        case .onBroadcast: .broadcast
        case .onChatOpen: .chatOpen
        case .onChatJoin: .chatJoin
        case .onChat: .chat
        case .onChatClose: .chatClose
        case .onDeliver: .deliver
        case .onUndelivered: .undelivered
        default: []
        }
    }
}
