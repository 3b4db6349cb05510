import ShuntCore
import ShuntJSON

/// What operators ask of all subscriptions. Each loop knows all of them; what members of groups were given each loop has counted for itself.
extension LoopPeers {
    func performSubscriptionCommands() {
        commands.set(.subscriptions) { [self] arguments, done in
            begin(.filters, arguments, done) { try RecordJSON.encode($0.filters) }
        }
        commands.set(.groups) { [self] arguments, done in
            begin(.groups, arguments, done) { try RecordJSON.encode($0.groups) }
        }
    }

    private func begin(
        _ subject: IndexCensus.Subject, _ arguments: [UInt8], _ done: @escaping WorkerCommands.Done,
        answer: @escaping @Sendable (IndexCensus) throws -> [UInt8]
    ) {
        guard let question = try? RecordJSON.decode(SubscriptionQuestion.self, from: arguments) else {
            return done(.failure(ShuntError(.requestInvalid, "this is not how subscriptions are asked for", help: #"send {"limit": 100}"#)))
        }
        if let filter = question.filter {
            do throws(ShuntError) {
                try RetainedRequest.check(filter)
            } catch {
                return done(.failure(error))
            }
        }
        goOn(IndexCensus(subject, question), on: 0, done, answer)
    }

    /// Some names a turn, so that messages need not wait.
    private func goOn(
        _ census: IndexCensus, on index: UInt8, _ done: @escaping WorkerCommands.Done, _ answer: @escaping @Sendable (IndexCensus) throws -> [UInt8]
    ) {
        on(index) { [self] loop in
            var census = census
            loop.engine.look(&census)
            guard census.isOver else { return goOn(census, on: index, done, answer) }
            if Int(index) + 1 < count, census.goOn() { return goOn(census, on: index + 1, done, answer) }
            done(Self.encoded { try answer(census) })
        }
    }
}
