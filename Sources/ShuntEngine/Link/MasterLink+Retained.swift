import ExchangeCodec
import ShuntCore

/// What a master tells of bans, and its questions: about the worker's retained messages, and the clients that it has refused.
extension MasterLink {
    static func question(_ frame: Frame) -> [Action] {
        if frame.name == BansBody.frameName {
            return (try? frame.value.withUnsafeBytes { try BansBody(key: frame.key, decoding: $0) }).map { [.bans($0)] } ?? []
        }
        if frame.name == ClientsRequestBody.frameName { return clientsQuestion(frame) }
        if frame.name == CommandRequestBody.frameName { return [command(frame)] }
        let action: Action? = frame.value.withUnsafeBytes { bytes in
            switch frame.name {
            case RetainedRequestBody.frameName:
                (try? RetainedRequestBody(key: frame.key, decoding: bytes)).map { .asked(id: frame.id, $0) }
            case RefusedRequestBody.frameName:
                (try? RefusedRequestBody(decoding: bytes)).map { .askedRefused(id: frame.id, $0.query) }
            default: nil
            }
        }
        if let action { return [action] }
        guard frame.name == RetainedRequestBody.frameName || frame.name == RefusedRequestBody.frameName else { return [] }
        return [.send(Frame(acknowledging: frame.id, ShuntError(.requestInvalid, "the question cannot be read")).encoded())]
    }

    private static func command(_ frame: Frame) -> Action {
        frame.value.withUnsafeBytes { bytes in
            do throws(ShuntError) {
                return .commanded(id: frame.id, try CommandRequestBody(key: frame.key ?? "", decoding: bytes))
            } catch {
                var answer = Frame(acknowledging: frame.id)
                (answer.format, answer.value) = (.json, CommandAnswerBody(.failure(error)).encoded())
                return .send(answer.encoded())
            }
        }
    }

    /// Answers what the master has asked; one that has gone meanwhile gets nothing.
    /// - Parameters:
    ///   - body: the answer's value, JSON.
    ///   - limit: bytes of a frame that the master takes.
    public func answer(_ id: Int64, _ body: [UInt8], limit: Int) -> [Action] {
        var frame = Frame(acknowledging: id)
        (frame.format, frame.value) = (.json, body)
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
