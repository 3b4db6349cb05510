/// What each worker has answered to a command, as the admin API gives it.
public struct WorkerAnswersRecord<Answer: Codable & Sendable>: Codable, Sendable {
    public struct Worker: Codable, Sendable {
        /// `host:port`.
        public var worker: String
        /// nil where the worker has refused.
        public var answer: Answer?
        public var error: Problem?

        public init(worker: String, result: Result<Answer, ShuntError>) {
            self.worker = worker
            switch result {
            case .success(let answer): self.answer = answer
            case .failure(let error): self.error = Problem(error)
            }
        }
    }

    public struct Problem: Codable, Equatable, Sendable {
        /// ``ErrorCode``'s raw value.
        public var code: String
        public var message: String
        public var location: String?
        public var help: String?

        public init(_ error: ShuntError) {
            (code, message, location, help) = (error.code.rawValue, error.message, error.location, error.help)
        }
    }

    public var workers: [Worker]
    /// Workers that were not reached, or have not answered in time.
    public var missing: [String]

    /// An answer that is not the record that is asked for is the worker's error.
    /// - Parameter read: makes a record of a worker's JSON; nil where that is not possible.
    public init(_ answers: WorkerAnswers, read: ([UInt8]) -> Answer?) {
        workers = answers.answers.map { answer in
            let result = answer.result.flatMap { json in
                read(json).map(Result.success)
                    ?? .failure(
                        ShuntError(.requestUnsupported, "the worker's answer cannot be read: it has another version of Shunt"))
            }
            return Worker(worker: answer.worker, result: result)
        }
        missing = answers.missing
    }

    public init(workers: [Worker], missing: [String]) {
        self.workers = workers
        self.missing = missing
    }
}
