import ShuntCore
import ShuntEngine
import ShuntJSON

/// What operators ask of clients, and have done to them. Every loop is asked: a client's name does not tell where a device of the exchange
/// protocol is.
extension LoopPeers {
    func performClientCommands() {
        commands.set(.holdBans) { [self] _, done in onControl { $0.whenBansAreHeld(done) } }
        commands.set(.closeChat) { [self] arguments, done in
            guard let chat = (try? RecordJSON.decode(ChatCloseRequest.self, from: arguments))?.chat else {
                return done(.failure(ShuntError(.requestInvalid, "this is not how a chat is ended", help: #"send {"chat": "room-7"}"#)))
            }
            on(UInt8(ChatHouse.home(of: chat, loops: count))) { loop in
                loop.received(.close(chat: chat))
                done(.success(Array("{}".utf8)))
            }
        }
        commands.set(.client) { [self] arguments, done in
            answer(arguments, done, ClientDetailsRecord(clients: [], total: 0)) { loop, question in
                loop.describe(question)
            } add: { one, other in
                ClientDetailsRecord(
                    clients: Array((one.clients + other.clients).prefix(ClientQuestion.maximumClients)), total: one.total + other.total)
            }
        }
        commands.set(.kick) { [self] arguments, done in
            answer(arguments, done, KickedRecord()) { loop, question in
                loop.kick(question)
            } add: {
                $0 + $1
            }
        }
    }

    private func answer<Record: Codable & Sendable>(
        _ arguments: [UInt8], _ done: @escaping WorkerCommands.Done, _ start: Record,
        _ ask: @escaping @Sendable (WorkerLoop, ClientQuestion) -> Record, add: @escaping @Sendable (Record, Record) -> Record
    ) {
        let question: ClientQuestion
        do throws(ShuntError) {
            question = try Self.question(arguments)
        } catch {
            return done(.failure(error))
        }
        let sum = LoopSum(start, missing: count)
        onEach { loop in
            if let all = sum.add(ask(loop, question), add) { done(Self.encoded { try RecordJSON.encode(all) }) }
        }
    }

    private static func question(_ arguments: [UInt8]) throws(ShuntError) -> ClientQuestion {
        guard let question = try? RecordJSON.decode(ClientQuestion.self, from: arguments) else {
            throw ShuntError(.requestInvalid, "this is not how a client is named", help: #"send {"client": "meter-7"}"#)
        }
        guard question.session == nil || question.sessionID != nil else {
            throw ShuntError(.requestInvalid, "'\(question.session ?? "")' names no session", at: "session", help: "as in 0-12-3")
        }
        guard question.session != nil || question.client?.isEmpty == false else {
            throw ShuntError(.requestInvalid, "no client is named", help: "give its client identifier, or its session")
        }
        return question
    }
}

extension WorkerLoop {
    func describe(_ question: ClientQuestion) -> ClientDetailsRecord {
        var record = engine.describe(question)
        for place in record.clients.indices {
            guard let id = ConnectionID(text: record.clients[place].session), let client = engine.connection(ofClient: id) else { continue }
            guard let connection = loop.connection(client) else { continue }
            record.clients[place].outBytes = connection.waiting
            record.clients[place].listener = listeners[connection.role.number].name
        }
        return record
    }

    func kick(_ question: ClientQuestion) -> KickedRecord {
        let kicked = engine.kick(question, now: loop.now)
        carryOutActions()
        return kicked
    }
}
