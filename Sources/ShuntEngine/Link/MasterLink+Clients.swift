import ExchangeCodec
import ShuntCore

/// What a master tells of single devices and chats, and what it wants to know of clients.
extension MasterLink {
    static func displacements(_ frame: Frame) -> [Action] {
        guard frame.name == DeviceBatchBody.frameName,
            let body = try? frame.value.withUnsafeBytes({ bytes in try DeviceBatchBody(decoding: bytes) }), !body.left.isEmpty
        else { return [] }
        return [.displaced(body.left)]
    }

    func chatNews(_ frame: Frame) -> [Action] {
        guard let chat = frame.name, let key = frame.key else { return [] }
        switch MasterChatKey(rawValue: key) {
        case .moved: return [.chat(id: chat, .moved(chat: chat, to: frame.text))]
        case nil: return []
        }
    }

    static func clientsQuestion(_ frame: Frame) -> [Action] {
        guard let body = try? frame.value.withUnsafeBytes({ bytes in try ClientsRequestBody(decoding: bytes) }) else { return [] }
        return [.askedClients(list: body.list)]
    }

    /// Tells of clients; `tookClients` is the answer.
    public mutating func tellClients(_ body: ClientReportBody, now: Double) -> [Action] {
        guard case .connected(var connected) = state, connected.hasJoined, connected.isShunt else { return [] }
        let id = ids.next(now: now)
        connected.clientsTold = id
        state = .connected(connected)
        return [.send(Frame.clients(id: id, body).encoded())]
    }

    mutating func tookClients(_ frame: Frame, _ before: Connected) -> [Action] {
        var connected = before
        connected.clientsTold = nil
        state = .connected(connected)
        return (frame.isError ? [.refused(master: master, why: frame.text)] : []) + [.tookClients(isRefused: frame.isError)]
    }
}
