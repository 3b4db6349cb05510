import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntRegistry

/// What the registry held when the master started.
struct KnownBefore: Sendable {
    var workers: [WorkerRecord]
    var devices: [DeviceRecord]
    var chats: [ChatRecord]
}

/// The master's exchange port: carries out what its engine decides.
final class MasterLoop: EventLoopHandler {
    let loop: EventLoop
    private let engine: MasterEngine
    private let writer: RegistryWriter

    init(loop: EventLoop, socket: ListeningSocket, engine: MasterEngine, known: KnownBefore, writer: RegistryWriter) {
        self.loop = loop
        self.engine = engine
        self.writer = writer
        engine.restore(known.workers, devices: known.devices, chats: known.chats, now: loop.now)
        loop.accept(on: socket) { loop.adopt(descriptor: $0, role: .accepted(listener: 0)) }
    }

    func opened(_ connection: Connection) { engine.opened(connection.id, source: connection.remoteAddress.host) }

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        let taken = engine.received(bytes, on: connection.id, now: loop.now)
        carryOut()
        return taken
    }

    func congestion(of connection: Connection, isCongested: Bool) {}

    func closed(_ connection: Connection, reason: CloseReason) { engine.closed(connection.id, now: loop.now) }

    func connectFailed(role: Connection.Role, address: SocketAddress, why: String) {}

    func turnEnded() {}

    func tick() {
        engine.tick(now: loop.now)
        carryOut()
    }

    /// An operator ends a chat.
    /// - Returns: false if no worker that can be reached has it.
    func closeChat(_ chat: String) -> Bool {
        defer { carryOut() }
        return engine.closeChat(chat, now: loop.now)
    }

    func stop() { loop.shutDown() }

    private func carryOut() {
        for action in engine.actions {
            switch action {
            case .send(let id, let bytes):
                guard let connection = loop.connection(id) else { continue }
                bytes.withUnsafeBytes { bytes in
                    loop.answer(bytes.count, to: connection) {
                        $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
                    }
                }
            case .close(let id, let code):
                guard let connection = loop.connection(id) else { continue }
                loop.closeAfterWriting(connection, .byUs(why: code.rawValue))
            }
        }
        writer.submit(engine.changes)
        engine.clear()
    }
}
