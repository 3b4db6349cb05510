import ExchangeCodec
import ShuntCore

/// Everything that a master decides on its exchange port: registration by heartbeat, allocation.
///
/// Events in, actions out; the driver clears `actions` and `changes` when it has carried them out.
public final class MasterEngine {
    public enum Action: Equatable, Sendable {
        case send(ConnectionID, [UInt8])
        /// Write what waits, then close.
        case close(ConnectionID, ErrorCode)
    }

    public private(set) var actions: [Action] = []
    /// For the registry.
    public private(set) var changes: [RegistryChange] = []
    public private(set) var directory: WorkerDirectory
    /// The source address of each connection.
    private var sources: [ConnectionID: String] = [:]
    private var closing: Set<ConnectionID> = []
    private let frameLimit: Int

    public init(liveFor: Double, frameLimit: Int) {
        directory = WorkerDirectory(liveFor: liveFor)
        self.frameLimit = frameLimit
    }

    // MARK: Events

    public func restore(_ workers: [WorkerRecord], now: Double) { directory.restore(workers, now: now) }

    /// - Parameter source: the client's IP address, without the port.
    public func opened(_ connection: ConnectionID, source: String) { sources[connection] = source }

    public func closed(_ connection: ConnectionID) {
        sources[connection] = nil
        closing.remove(connection)
    }

    /// - Returns: how many bytes of whole frames were taken.
    public func received(_ bytes: Bytes, on connection: ConnectionID, now: Double) -> Int {
        var offset = 0
        while offset < bytes.count, !closing.contains(connection) {
            let rest = Bytes(rebasing: bytes[offset...])
            switch FrameDecoder.decode(rest, limit: frameLimit) {
            case .frame(let view):
                guard let start = rest.baseAddress else { return offset }
                handle(view, start, connection, now: now)
                offset += Int(view.size)
            case .needMore: return offset
            case .malformed(let fault):
                close(connection, fault.code)
                return bytes.count
            }
        }
        return closing.contains(connection) ? bytes.count : offset
    }

    public func tick(now: Double) { changes += directory.tick(now: now) }

    public func clear() {
        actions.removeAll(keepingCapacity: true)
        changes.removeAll(keepingCapacity: true)
    }

    // MARK: Frames

    private func handle(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) {
        guard !frame.isError else { return }
        do throws(ShuntError) {
            switch frame.type {
            case .ping:
                try heartbeat(frame, start, connection, now: now)
                acknowledge(frame, connection)
            case .allocation: try allocate(frame, start, connection, now: now)
            case .register:
                // Devices are kept from the next version on; a worker only needs to be told that it was heard.
                guard frame.hasBody else { throw ShuntError(.requestInvalid, "Bad Request") }
                acknowledge(frame, connection)
            case .chat: throw ShuntError(.requestUnsupported, "this master does not serve chats yet")
            case .message, .subscribe, .unsubscribe, .notify:
                throw ShuntError(
                    .requestUnsupported, "a master does not serve \(frame.type)", help: "connect to a worker: ALLOCATION lists them")
            case .balance, .binding, .registered, .acknowledgement: break
            }
        } catch {
            refuse(frame, connection, error)
        }
    }

    private func heartbeat(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        // A bare PING is refused as message-channel refuses it (Q30).
        guard let value = frame.value(in: start) else { throw ShuntError(.requestInvalid, "Bad Request") }
        guard frame.compression == .none else { throw ShuntError(.requestInvalid, "a heartbeat can't be compressed") }
        let body = try HeartbeatBody(decoding: value)
        changes += try directory.heartbeat(body, source: sources[connection] ?? "", now: now)
    }

    private func allocate(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        let workers = directory.allocation(now: now)
        guard let first = workers.first else { throw ShuntError(.workerNone, "not found server") }
        switch AllocationRequest(decoding: frame.value(in: start)) {
        case .all: answer(frame, connection, AllocationReply.encode(workers))
        case .one: answer(frame, connection, first)
        }
    }

    // MARK: Answers

    private func acknowledge(_ frame: FrameView, _ connection: ConnectionID) {
        actions.append(.send(connection, Frame(acknowledging: frame.id).encoded()))
    }

    private func answer(_ frame: FrameView, _ connection: ConnectionID, _ text: String) {
        actions.append(.send(connection, Frame(acknowledging: frame.id, text: text).encoded()))
    }

    private func refuse(_ frame: FrameView, _ connection: ConnectionID, _ error: ShuntError) {
        let text = error.code.exchangeText ?? (error.help.map { "\(error.message); \($0)" } ?? error.message)
        actions.append(
            .send(connection, Frame(acknowledging: frame.id, status: error.code.exchangeStatus, text: text).encoded()))
    }

    private func close(_ connection: ConnectionID, _ code: ErrorCode) {
        closing.insert(connection)
        actions.append(.close(connection, code))
    }
}
