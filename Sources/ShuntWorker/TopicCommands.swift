import ShuntCore
import ShuntJSON

/// What operators ask of topics. Each loop counts the messages that come in on it, and is asked twice: which topics are its busiest, and what
/// it has counted of those that any loop has named.
extension LoopPeers {
    func performTopicCommands() {
        commands.set(.topics) { [self] arguments, done in
            guard let question = try? RecordJSON.decode(TopicQuestion.self, from: arguments) else {
                return done(.failure(ShuntError(.requestInvalid, "this is not how topics are asked for", help: #"send {"by": "bytes"}"#)))
            }
            let ranking = LoopSum(TopicRanking(question), missing: count)
            for index in 0..<count { look(TopicCensus(question), on: UInt8(index), ranking, done) }
        }
    }

    /// Some topics a turn, so that messages need not wait.
    private func look(_ census: TopicCensus, on index: UInt8, _ ranking: LoopSum<TopicRanking>, _ done: @escaping WorkerCommands.Done) {
        on(index) { [self] loop in
            var census = census
            loop.engine.look(&census)
            guard census.isOver else { return look(census, on: index, ranking, done) }
            let found = ranking.add(census) { all, one in
                var all = all
                all.add(one)
                return all
            }
            if let found { count(found, done) }
        }
    }

    private func count(_ ranking: TopicRanking, _ done: @escaping WorkerCommands.Done) {
        let candidates = ranking.candidates
        let sum = LoopSum([[UInt8]: TopicLoad](), missing: count)
        onEach { loop in
            guard let all = sum.add(loop.engine.loads(of: candidates), { $0.merging($1) { $0 + $1 } }) else { return }
            var ranking = ranking
            ranking.set(all)
            done(Self.encoded { try RecordJSON.encode(ranking.record) })
        }
    }
}
