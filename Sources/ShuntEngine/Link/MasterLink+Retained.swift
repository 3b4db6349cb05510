import ExchangeCodec
import ShuntCore

/// What a master tells of bans, and its questions about the worker's retained messages.
extension MasterLink {
    static func question(_ frame: Frame) -> [Action] {
        if frame.name == BansBody.frameName {
            return (try? frame.value.withUnsafeBytes { try BansBody(key: frame.key, decoding: $0) }).map { [.bans($0)] } ?? []
        }
        guard frame.name == RetainedRequestBody.frameName else { return [] }
        guard let body = try? frame.value.withUnsafeBytes({ try RetainedRequestBody(key: frame.key, decoding: $0) }) else {
            return [.send(Frame(acknowledging: frame.id, ShuntError(.requestInvalid, "the question cannot be read")).encoded())]
        }
        return [.asked(id: frame.id, body)]
    }

    /// Answers what the master has asked; one that has gone meanwhile gets nothing.
    /// - Parameter limit: bytes of a frame that the master takes.
    public func answer(_ id: Int64, _ body: RetainedAnswerBody, limit: Int) -> [Action] {
        var frame = Frame(acknowledging: id)
        (frame.format, frame.value) = (.json, body.encoded())
        let bytes = frame.encoded()
        // A longer one would cost the worker its link.
        guard bytes.count <= limit else { return refuse(id, ShuntError(.frameTooLarge, "the answer is longer than limits.frame")) }
        return isUp ? [.send(bytes)] : []
    }

    /// Refuses what the master has asked.
    public func refuse(_ id: Int64, _ error: ShuntError) -> [Action] {
        isUp ? [.send(Frame(acknowledging: id, error).encoded())] : []
    }
}
