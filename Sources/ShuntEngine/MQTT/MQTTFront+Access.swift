import MQTTCodec
import ShuntCore

/// What clients of MQTT may do.
extension MQTTFront {
    /// Whether the client may send a message to a topic, one of the worker's own too.
    func mayPublish(_ topic: Bytes) -> Bool {
        guard engine.clients[client.slot].isRestricted else { return true }
        guard topic.first == UInt8(ascii: "$") else { return engine.may(.publish, topic, client) }
        if topic.elementsEqual(Self.notifyTopic.utf8) { return engine.may(.broadcast, .none, client) }
        guard topic.starts(with: Self.chatPrefix.utf8) else { return engine.may(.publish, topic, client) }
        return engine.may(.chat, chatName(in: topic).name, client)
    }

    /// - Throws: `access.denied`.
    func demandPublishing(_ topic: [UInt8], _ client: ConnectionID) throws(ShuntError) {
        guard !topic.withUnsafeBytes({ mayPublish($0) }) else { return }
        throw ShuntError(.accessDenied, LoopEngine.denial(of: .publish, String(decoding: topic, as: UTF8.self)))
    }
}

extension ReasonCode {
    /// Why a client is not let in.
    init(refusingEntry code: ErrorCode) {
        self =
            switch code {
            case .workerElsewhere: .useAnotherServer
            case .accessCredentials: .badUserNameOrPassword
            case .accessUnavailable: .serverUnavailable
            case .accessBanned: .banned
            case .accessRate: .connectionRateExceeded
            case .memoryLimit: .quotaExceeded
            default: .notAuthorized
            }
    }
}
