import ShuntCore
import Synchronization

/// The answers of a worker's loops, which come in any order.
final class LoopSum<Record: Sendable>: Sendable {
    private let state: Mutex<(record: Record, missing: Int)>

    init(_ start: Record, missing: Int) { state = Mutex((start, missing)) }

    /// - Returns: the whole answer, once all loops have given theirs.
    func add<Part>(_ part: Part, _ add: (Record, Part) -> Record) -> Record? {
        state.withLock { state in
            state = (add(state.record, part), state.missing - 1)
            return state.missing == 0 ? state.record : nil
        }
    }
}

extension LoopPeers {
    /// A command's answer.
    static func encoded(_ json: () throws -> [UInt8]) -> Result<[UInt8], ShuntError> {
        guard let json = try? json() else { return .failure(ShuntError(.internalError, "the answer cannot be written as JSON")) }
        return .success(json)
    }
}
