import CUV
import ShuntCore

/// Connections whose transports have something to compute that takes long: a storm of handshakes is spread over turns.
struct WorkQueue {
    private var begun = Line()
    private var new = Line()

    var hasSome: Bool { !begun.isEmpty || !new.isEmpty }

    /// - Parameter hasBegun: it has worked before. Those come first: in a storm some end in time, where otherwise all
    /// would begin and none end.
    mutating func add(_ id: ConnectionID, hasBegun: Bool) {
        if hasBegun { begun.add(id) } else { new.add(id) }
    }

    mutating func next() -> ConnectionID? { begun.next() ?? new.next() }

    /// First in, first out.
    private struct Line {
        private var ids: ContiguousArray<ConnectionID> = []
        private var head = 0

        var isEmpty: Bool { head == ids.count }

        mutating func add(_ id: ConnectionID) { ids.append(id) }

        mutating func next() -> ConnectionID? {
            guard head < ids.count else { return nil }
            defer {
                head += 1
                if head == ids.count { (ids, head) = ([], 0) }
            }
            return ids[head]
        }
    }
}

extension EventLoop {
    /// Nanoseconds of a turn after which no other transport begins to work.
    private static let workBudget: UInt64 = 300_000

    /// Reads nothing more from the connection until its transport has worked.
    func awaitWork(_ connection: Connection, _ layer: TransportLayer) {
        guard layer.worksSince == nil else { return }
        works.add(connection.id, hasBegun: layer.hasWorked)
        layer.awaitsWork(at: seconds)
        setReadingPaused(true, .work, connection)
    }

    /// Has some transports work; more follow in the next turn, behind what else has come.
    func workInTurn() {
        let began = uv_hrtime()
        while let id = works.next() {
            guard let connection = connection(id), let layer = connection.layer else { continue }
            work(connection, layer)
            if uv_hrtime() - began > Self.workBudget { break }
        }
        if works.hasSome { wakeAgain() }
    }

    private func work(_ connection: Connection, _ layer: TransportLayer) {
        layer.works(at: seconds)
        guard connection.state == .open, let transport = layer.transport else { return }
        do throws(TransportFailure) {
            try transport.work()
        } catch {
            return fail(connection, error)
        }
        setReadingPaused(false, .work, connection)
        follow(layer, connection)
        guard connection.state == .open else { return }
        passOn(Bytes(start: nil, count: 0), connection, layer)
    }
}
