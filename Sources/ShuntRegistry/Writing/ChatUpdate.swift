import ShuntCore

/// What a chat's row becomes.
enum ChatUpdate: RowUpdate {
    typealias Key = ExactText

    case put(ChatRecord)
    case closed

    var worker: String? {
        guard case .put(let record) = self else { return nil }
        return record.worker
    }

    func followed(by newer: ChatUpdate) -> ChatUpdate { newer }

    func followedByLoss(at time: Double) -> ChatUpdate { .closed }
}

extension PendingRows<ChatUpdate> {
    mutating func add(_ change: ChatChange) {
        switch change {
        case .chat(let record): add(.put(record), to: ExactText(record.chat))
        case .closed(let chat, _): add(.closed, to: ExactText(chat))
        case .workerLost(let worker, let time): lose(worker, at: time)
        }
    }
}
