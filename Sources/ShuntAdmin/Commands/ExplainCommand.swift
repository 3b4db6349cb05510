import ArgumentParser
import FoundationEssentials
import ShuntCore
import ShuntJSON

/// `shunt admin explain`: what would become of a message.
struct ExplainCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell what would become of a message, and why nobody gets it. Nothing is sent, counted or changed.",
        discussion: """
            Asks live workers: may the sender publish it, what does each rule decide, who gets it, whom would each group choose. Rules run \
            in states of their own, so what they keep (kv, shared, variables) is empty there, and nothing that they keep is changed.

              shunt admin explain --topic orders/7
              shunt admin explain --topic orders/7 --as bob --payload '{"id":7}'
              shunt admin explain --topic orders/7 --payload @order.json --payloads
              shunt admin explain --topic jobs/1 --group workers --worker 10.0.0.1:4091
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Option(help: "The message's topic: one topic, without + and #.")
    var topic: String

    @Option(name: .customLong("as"), help: ArgumentHelp("Who sends it; without it a client that nothing names.", valueName: "uid"))
    var uid: String?

    @Option(help: ArgumentHelp("The sender's client identifier.", valueName: "id"))
    var client: String?

    @Option(help: "The listener that the sender is connected to; without it, the first that has rights to ask.")
    var listener: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The payload, or @FILE.", valueName: "text"))
    var payload: String?

    @Option(help: "The message's key.")
    var key: String?

    @Option(help: "0, 1 or 2.")
    var qos: Int?

    @Option(help: "Tell only this consumer group.")
    var group: String?

    @Option(help: "How many clients and groups are named, at most \(ExplainRequest.maximumLimit).")
    var limit = 10

    @Flag(help: "Show the payload before and after each rule that changes it.")
    var payloads = false

    func validate() throws {
        guard (1...ExplainRequest.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(ExplainRequest.maximumLimit).")
        }
        guard qos.map({ (0...2).contains($0) }) ?? true else { throw ValidationError("--qos is 0, 1 or 2.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let (answers, json) = try await session.ask(.explain(try request(), worker: worker), as: WorkerAnswersRecord<ExplainRecord>.self)
        let found = await session.named(answers)
        try session.requireWorkers(found)
        if session.output == .json {
            try session.write(json: json)
        } else if session.output == .csv {
            throw ShuntError(.usage, "explain has no CSV", help: "use --output json")
        } else {
            let groups = ExplainReport.together(found.workers)
            for (workers, answer) in groups {
                let head = "at " + workers.joined(separator: ", ")
                let text = ExplainReport.text(answer, topic: topic, uid: uid, hasPayload: payload != nil, width: session.console.width)
                try session.console.write(Text.printable(head) + "\n" + text)
            }
        }
        for one in found.workers {
            guard let error = one.error else { continue }
            session.note("\(one.worker): \(error.message)" + (error.help.map { "; \($0)" } ?? ""))
        }
        session.noteMissing(found, "what it would do is not told")
        guard let refused = found.workers.first?.error, found.workers.allSatisfy({ $0.error != nil }) else { return }
        throw ShuntError(ErrorCode(rawValue: refused.code) ?? .internalError, refused.message, at: refused.location, help: refused.help)
    }

    private func request() throws(ShuntError) -> ExplainRequest {
        var request = ExplainRequest(topic: topic)
        (request.uid, request.client, request.listener, request.key) = (uid, client, listener, key)
        (request.qos, request.group, request.payloads, request.limit) = (qos, group, payloads, limit)
        guard let payload else { return request }
        var bytes = Array(payload.utf8)
        if payload.hasPrefix("@") {
            let path = String(payload.dropFirst())
            guard let data = FileManager.default.contents(atPath: path) else {
                throw ShuntError(.ioFailed, "the file cannot be read", at: path, help: "a payload that begins with @ is a file's name")
            }
            bytes = Array(data)
        }
        guard bytes.count <= ExplainRequest.maximumPayload else {
            throw ShuntError(
                .usage, "the payload has \(bytes.count) bytes", at: "--payload", help: "at most \(ExplainRequest.maximumPayload) bytes")
        }
        if let text = String(validating: bytes, as: UTF8.self) {
            request.payload = text
        } else {
            request.payloadBase64 = JSONBytes.encode(bytes)
        }
        return request
    }
}
