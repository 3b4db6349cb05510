import ExchangeCodec
import ShuntCore

/// Which worker has which chat: workers ask, and tell of those that they have; an operator ends one.
extension MasterEngine {
    /// The worker that is to end a chat, as an operator wants.
    /// - Throws: `chat.unknown` if no worker has it, `connection.lost` if that worker can't be told, `request.unsupported` if it takes no
    ///   commands.
    public func worker(ending chat: String) throws(ShuntError) -> String {
        guard let worker = chats.worker(of: chat) else {
            throw ShuntError(.chatUnknown, "there is no chat '\(chat)'", help: "list them with `shunt admin chats`")
        }
        guard directory.connection(of: worker) != nil else {
            throw ShuntError(
                .connectionLost, "the chat's worker \(worker) is not connected to the master",
                help: "try again; if it does not come back, the chat is free within two of its heartbeats")
        }
        guard directory.takesCommands(worker) else {
            throw ShuntError(
                .requestUnsupported, "the chat's worker \(worker) runs message-channel, which does not end chats",
                help: "have a member send DESTROY")
        }
        return worker
    }

    /// A worker asks for a chat (§11.3), or a Shunt worker tells of its chats.
    func chat(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        let value = try value(of: frame, start)
        if frame.key(in: start)?.elementsEqual(ChatReportBody.frameKey.utf8) == true {
            try report(ChatReportBody(decoding: value), connection, now: now)
            return acknowledge(frame, connection)
        }
        let chat = try ChatRequest.chat(frame.name(in: start))
        let key = try ChatKey(decoding: frame.key(in: start))
        let body = try ChatHostBody(decoding: value)
        let worker = try teller(WorkerSource(host: body.host, port: body.port), connection, now: now)
        let question = Filling.ChatQuestion(
            frame: frame.id, connection: connection, chat: chat, key: key, worker: worker, wantsAddresses: body.wantsAddresses)
        if try !holds(question) { answer(question, now: now) }
    }

    private func report(_ body: ChatReportBody, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        var found: [ChatChange] = []
        let worker = try teller(body.worker, connection, now: now)
        let losers = chats.report(body, from: worker, now: now, &found) { directory.isGivenUp($0, now: now) }
        record(found)
        for loser in losers where directory.takesCommands(loser.worker) {
            if let worker = directory.connection(of: loser.worker) { tell(worker, loser.chat, .moved, loser.owner, now: now) }
        }
        if body.isLast { toldChats(worker) }
    }

    /// Says who has a chat.
    func answer(_ question: Filling.ChatQuestion, now: Double) {
        var found: [ChatChange] = []
        defer { record(found) }
        do throws(ShuntError) {
            let owner = try chats.request(question.chat, question.key, from: question.worker, now: now, &found) {
                directory.isGivenUp($0, now: now)
            }
            var answer = Frame(acknowledging: question.frame, text: owner)
            if owner != question.worker {
                let addresses = question.wantsAddresses ? directory.addresses(of: owner) : nil
                let text = addresses.map { String(decoding: $0.encoded(), as: UTF8.self) } ?? owner
                answer = Frame(acknowledging: question.frame, status: FrameStatus.temporaryRedirect, text: text)
            }
            actions.append(.send(question.connection, answer.encoded()))
        } catch {
            refuse(question.frame, question.connection, error)
        }
    }
}
