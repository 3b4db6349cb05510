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
            peers.onControl { $0.performed(id, body.name, CommandAnswerBody(result)) }
        }
    }

    /// Who commands something reads next what has become of it: the master hears that before it hears that the command is performed.
    private func performed(_ id: Int64, _ name: WorkerCommand.Name, _ body: CommandAnswerBody) {
        guard name.changesWorker else { return answer(id, body) }
        guard [.kick, .holdBans].contains(name), heldAnswers.count < Self.heldCapacity else { return answerAfterState(id, body) }
        held += 1
        heldAnswers.append(HeldAnswer(number: held, command: id, body: body, until: loop.now + Self.holdingPatience))
        carryOut(clients.settle(held))
        answerSettled()
    }

    private func answerAfterState(_ id: Int64, _ body: CommandAnswerBody) {
        sendReports()
        tellState()
        answer(id, body)
    }

    /// Gives the answers that were held until the master had taken what there was to tell of clients.
    func answerSettled() {
        guard !heldAnswers.isEmpty else { return }
        let settled = Set(clients.takeSettled())
        // Longer than any is held: the clock was set back.
        let isDue = { [now = loop.now] (one: HeldAnswer) in
            settled.contains(one.number) || now >= one.until || one.until - now > Self.holdingPatience
        }
        let due = heldAnswers.filter(isDue)
        heldAnswers.removeAll(where: isDue)
        for one in due { answerAfterState(one.command, one.body) }
    }

    /// The answer to a command, until the master knows what the command has changed.
    struct HeldAnswer {
        var number: Int64
        var command: Int64
        var body: CommandAnswerBody
        var until: Double
    }

    private static let heldCapacity = 1000
    /// Seconds; an operator waits for a worker a second longer.
    private static let holdingPatience = 1.0

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
