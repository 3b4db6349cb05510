import ExchangeCodec
import ShuntCore

/// What a master asks of this worker for its operators.
extension ControlLoop {
    /// The master asks for retained messages, or for an end of them.
    func asked(_ id: Int64, _ body: RetainedRequestBody) {
        var query: RetainedQuery?
        if case .list(var limited) = body {
            // The frame's head, and the members round the list, have room besides.
            limited.bytes = min(limited.bytes, max(1, reportLimit - 256))
            query = limited
        }
        guard inquiries.begin(id, query, loops: peers.count) else {
            return carryOut(link.refuse(id, ShuntError(.memoryLimit, "the worker is asked too much", help: "try again in a moment")))
        }
        switch body {
        case .list(let asked): peers.listRetained(query ?? asked, id: id)
        case .clear(let filter): peers.clearRetained(filter, id: id)
        }
    }

    /// A loop has listed its retained messages.
    func listed(_ page: RetainedPage, id: Int64) {
        if let answer = inquiries.listed(id, page) { carryOut(link.answer(id, answer.encoded(), limit: reportLimit)) }
    }

    /// A loop has cleared so many retained messages.
    func cleared(_ count: Int, id: Int64) {
        if let answer = inquiries.cleared(id, count) { carryOut(link.answer(id, answer.encoded(), limit: reportLimit)) }
    }

    /// An operator commands something. It may be answered on any thread.
    func commanded(_ id: Int64, _ body: CommandRequestBody) {
        peers.commands.perform(body.name, arguments: body.arguments) { [peers] result in
            peers.onControl { $0.answer(id, CommandAnswerBody(result)) }
        }
    }

    private func answer(_ id: Int64, _ body: CommandAnswerBody) { carryOut(link.answer(id, body.encoded(), limit: reportLimit)) }

    /// The master asks which clients were refused.
    func askedRefused(_ id: Int64, _ query: RefusedQuery) {
        var query = query
        query.limit = min(query.limit, max(1, reportLimit / RefusedRecord.maximumBytes))
        let listeners = peers.listeners
        let answer = peers.doorkeeper.refused.answer(query) { listeners.indices.contains($0) ? listeners[$0].name : "" }
        carryOut(link.answer(id, answer.encoded(), limit: reportLimit))
    }
}
