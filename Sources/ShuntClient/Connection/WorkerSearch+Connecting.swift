import ShuntCore

extension ConnectionOptions {
    /// Carries out a search's steps until a connection is open.
    /// - Throws: the error of the last attempt, when a pause would go beyond `patience`; at once where a worker refuses the client's
    ///   credentials.
    func find<Connection>(
        _ search: inout WorkerSearch, connect: (HostPort) async throws(ShuntError) -> Connection
    ) async throws(ShuntError) -> Connection {
        let deadline = ClientClock.system.now + patience
        var failure = ShuntError(.addressUnavailable, "no server was found")
        while true {
            let step = search.next(random: .random(in: 0..<1))
            if case .pause(let pause) = step {
                guard !Task.isCancelled, ClientClock.system.now + pause < deadline else { throw failure }
                try? await Task.sleep(for: pause)
                continue
            }
            do throws(ShuntError) {
                switch step {
                case .connect(let worker): return try await connect(worker)
                case .ask(let master): search.listed(try await ask(master, &search))
                case .pause: break
                }
            } catch {
                if error.refusesIdentity { throw error }
                failure = error
            }
        }
    }

    private func ask(_ master: HostPort, _ search: inout WorkerSearch) async throws(ShuntError) -> [HostPort] {
        do throws(ShuntError) {
            return try await Allocation.ask(master, options: self)
        } catch {
            search.askFailed()
            throw error
        }
    }
}
