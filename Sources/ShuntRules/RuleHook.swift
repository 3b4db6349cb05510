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
    case onWill = "on_will"
    case onSession = "on_session"
    case onAcked = "on_acked"
    case onAuth = "on_auth"

    /// Its place in the host's table; nil for hooks that this version does not call.
    var index: shunt_hook? { Self.places[rawValue] }

    private static let places: [String: shunt_hook] = Dictionary(
        uniqueKeysWithValues: (0..<SHUNT_HOOKS.rawValue).map { (String(cString: shunt_hook_name(shunt_hook($0))), shunt_hook($0)) })

    static let called: [RuleHook] = allCases.filter { $0.index != nil }

    /// The kinds of messages that it is about, which a rule's `match` may narrow; nil for hooks that `match` is nothing to.
    var kinds: Set<MessageKind>? {
        guard let index, shunt_hook_kinds(index) != 0 else { return nil }
        return Set(MessageKind.allCases.filter { shunt_hook_kinds(index) & 1 << $0.rawValue != 0 })
    }

    /// What a call that has failed decides where the rule's `on_error` says nothing; nil: such a call decides nothing, whatever that says.
    var standardOnError: RuleDefinition.OnError? {
        switch self {
        case .onConnect, .onAuth, .onSubscribe: .reject
        case .onMessage, .onBroadcast, .onChat, .onWill, .onRegister, .onChatOpen, .onChatJoin, .onDeliver: .pass
        case .onLoad, .onUnload, .onDisconnect, .onUnsubscribe, .onSelect, .onChatClose, .onUndelivered, .onTick, .onSession, .onAcked: nil
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
        case .onUnsubscribe: .unsubscribe
        case .onTick: .tick
        case .onRegister: .register
        case .onSelect: .select
        case .onWill: .will
        case .onSession: .session
        case .onAcked: .acked
        case .onAuth: .auth
        default: []
        }
    }
}
