import ShuntCore

/// What people call workers: by `worker.name` where only one worker has it, else by `host:port`.
struct WorkerNames {
    private var names: [String: String] = [:]

    init(_ workers: [WorkerRecord]) {
        let byName = Dictionary(grouping: workers.filter { !$0.configuredName.isEmpty }, by: \.configuredName)
        for (name, same) in byName {
            // One that has come back at another port keeps its name.
            let present = same.filter { !$0.state.isAway }
            let only = same.count == 1 ? same : present
            if only.count == 1 { names[only[0].name] = name }
        }
    }

    /// - Parameter address: `host:port`; any other text is its own name.
    subscript(address: String) -> String { names[address] ?? address }

    func named<Record>(_ records: [Record], _ worker: WritableKeyPath<Record, String>) -> [Record] {
        records.map { record in
            var record = record
            record[keyPath: worker] = self[record[keyPath: worker]]
            return record
        }
    }
}

extension AdminSession {
    /// The names of all workers, for tables; programs, which read JSON and CSV, are given addresses. Addresses too where the workers
    /// cannot be listed: the command has what it is for.
    func workerNames() async -> WorkerNames {
        guard output == .table, let workers = try? await allWorkers() else { return WorkerNames([]) }
        return WorkerNames(workers)
    }

    /// Records of workers under the names that people give them.
    func named<Record>(_ records: [Record], _ worker: WritableKeyPath<Record, String>) async -> [Record] {
        guard output == .table, !records.isEmpty else { return records }
        return await workerNames().named(records, worker)
    }

    func named<Answer>(_ found: WorkerAnswersRecord<Answer>) async -> WorkerAnswersRecord<Answer> {
        var found = found
        found.workers = await named(found.workers, \.worker)
        found.missing = await named(found.missing, \.self)
        return found
    }

    func named<Answer>(_ found: ProcessAnswersRecord<Answer>) async -> ProcessAnswersRecord<Answer> {
        var found = found
        found.workers = await named(found.workers, \.worker)
        found.missing = await named(found.missing, \.self)
        return found
    }
}
