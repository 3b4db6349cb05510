import Dispatch
import Glibc
import ShuntCore
import Synchronization
import Testing

@testable import ShuntReactor

/// Notes the options of the sockets that it is given.
private final class OptionReader: EventLoopHandler {
    let loop: EventLoop
    let found: @Sendable ([Int32]) -> Void

    init(_ loop: EventLoop, _ found: @escaping @Sendable ([Int32]) -> Void) {
        self.loop = loop
        self.found = found
    }

    func opened(_ connection: Connection) {
        func option(_ level: Int32, _ name: Int32) -> Int32 {
            var value: Int32 = -1
            var length = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(connection.descriptor, level, name, &value, &length)
            return value
        }
        let tcp = Int32(IPPROTO_TCP)
        found([option(SOL_SOCKET, SO_KEEPALIVE), option(tcp, TCP_KEEPIDLE), option(tcp, TCP_KEEPINTVL), option(tcp, TCP_KEEPCNT)])
    }

    func received(_ bytes: Bytes, on connection: Connection) -> Int { bytes.count }
    func pressure(_ pressure: ConsumerPressure, on connection: Connection) {}
    func framing(of role: Connection.Role) -> Framing { Framing { FrameExtent(length: $0.count, kind: .answer) } }
    func closed(_ connection: Connection, reason: CloseReason) {}
    func connectFailed(role: Connection.Role, address: HostPort, why: String) { found([]) }
    func turnEnded() {}
    func tick() {}
}

@Suite("Peers whose machine is gone") struct PeerTimeoutTests {
    @Test(
        "Sockets that are accepted and made have keep-alive by limits.peer_timeout; 0 leaves the system's times",
        arguments: [
            (20, [1, 10, 5, 2]), (1, [1, 1, 1, 2]), (7, [1, 3, 1, 2]), (0, [1, -1, -1, -1]),
        ] as [(Int, [Int32])])
    func options(seconds: Int, expected: [Int32]) throws {
        let socket = try ListeningSocket(HostPort("127.0.0.1", 0), name: "test")
        let address = try #require(socket.address.hostPort)
        let found = Mutex<[[Int32]]>([])
        let both = DispatchSemaphore(value: 0)
        let noted: @Sendable ([Int32]) -> Void = { options in
            found.withLock { $0.append(options) }
            both.signal()
        }
        let thread = try LoopThread(
            index: 0, name: "test", limits: ConnectionLimits(peerSeconds: seconds)
        ) { loop in
            loop.accept(on: socket, within: DescriptorBudget(limit: 1 << 20, endpoints: 1)) {
                if case .client(let descriptor) = $0 { loop.adopt(descriptor: descriptor, role: .accepted(listener: 0)) }
            }
            return OptionReader(loop, noted)
        }
        thread.post { $0.loop.connect(to: address, role: .outbound(0)) }
        for _ in 0..<2 { #expect(both.wait(timeout: .now() + 20) == .success) }
        thread.post { $0.loop.shutDown() }
        thread.join()
        for options in found.withLock({ $0 }) {
            #expect(options.count == expected.count)
            for (option, wanted) in zip(options, expected) where wanted >= 0 { #expect(option == wanted) }
        }
    }
}
