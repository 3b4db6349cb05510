import ShuntCore

/// What a loop tells others of its worker.
public enum LoopLetter: Equatable, Sendable {
    case subscribed(Subscription)
    case unsubscribed(ConnectionID, filter: String, group: String, key: String?)
    case left(ConnectionID)
    case pressure(ConsumerPressure, ConnectionID)
    /// Answer with `synced` once all letters so far have been read: the subscriptions in them are this loop's `number`th.
    case sync(loop: UInt8, number: UInt64)
    case synced(loop: UInt8, number: UInt64)
    /// A device has registered: the loop that has one of the same name gives it up.
    case registered(uid: String, device: String, ConnectionID, at: Double)
    /// A retained message for the loop that its topic is at home on: a PUBLISH of MQTT 5.0 without a packet identifier; an empty one clears.
    case retain(topic: [UInt8], packet: [UInt8], QoS, expiry: UInt32)
    /// Send the retained messages that are at home there and that a new subscription takes.
    case askRetained(RetainedQuestion)
    /// Deliver a broadcast to the devices here that match, and say how many there were.
    case broadcast(BroadcastID, DeviceFilter, frame: [UInt8])
    case tallied(BroadcastID, BroadcastTally)
    /// For the loop that a chat is at home on. With the client as rules see it, who may be unknown there.
    indirect case chat(ChatEvent, Peer?)
    /// A rule's message for a chat that is at home there: answer with `announced` whether it is open.
    case announce(chat: String, ChatPayload, fate: UInt32, from: UInt8)
    case announced(fate: UInt32, isOpen: Bool)
    /// For the loop that a chat's member is connected to.
    case chatAction(ChatAction)
    /// A rule closes a client of that loop.
    case close(ConnectionID, why: String, rule: String)
}

extension LoopLetter {
    /// Bytes of messages that it carries.
    public var payloadSize: Int {
        switch self {
        case .broadcast(_, _, let frame): frame.count
        case .retain(let topic, let packet, _, _): topic.count + packet.count
        case .chat(.request(let request), _): request.payload.bytes.count
        case .chat(.announce(_, let payload), _), .announce(_, let payload, _, _), .chatAction(.deliver(_, _, _, let payload)): payload.bytes.count
        default: 0
        }
    }
}

/// A letter and whom it is for.
public struct AddressedLetter: Equatable, Sendable {
    /// nil: all other loops.
    public var loop: UInt8?
    public var letter: LoopLetter
}
