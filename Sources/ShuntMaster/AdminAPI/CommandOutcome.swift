import ShuntCore

/// What became of a command that several processes were to perform, for the event of it.
struct CommandOutcome {
    /// Why none has performed it.
    var refusal: ShuntError?
    /// How many have not, where others have; else empty.
    var part = ""

    /// - Parameter own: why the master's process has not performed it, or nil in the optional where it has; nil where it was not to.
    init(_ workers: Result<WorkerAnswers, ShuntError>, beside own: ShuntError?? = nil) {
        var (failures, count, missing): ([ShuntError], Int, Int)
        switch workers {
        case .success(let answers):
            failures = answers.answers.compactMap { $0.result.failure }
            (count, missing) = (answers.answers.count + answers.missing.count, answers.missing.count)
        case .failure(let error):
            guard let own else {
                refusal = error
                return
            }
            (failures, count, missing) = ([own].compactMap { $0 }, 0, 0)
        }
        if let own, case .success = workers { failures += [own].compactMap { $0 } }
        if own != nil { count += 1 }
        if let first = failures.first, failures.count == count {
            refusal = first
            return
        }
        if let first = failures.first { part += ": \(failures.count) of \(count) have refused, \(first.code.rawValue)" }
        if missing > 0 { part += ": \(missing) of \(count) have not answered" }
    }
}
