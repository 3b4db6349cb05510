import SeededRandom
import ShuntCore
import Testing

@testable import ShuntReactor

/// Gives little at a time of what it has, and takes little of what comes: a read of the loop's has many parts. Each byte is changed by a key.
private final class Doling: Transport {
    private(set) var phase = TransportPhase.open
    private var held: [UInt8] = []
    static let key: UInt8 = 0x55
    /// Taken of the wire at once, and given at once.
    static let portion = 100

    func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        let taken = min(wire.count, Self.portion)
        held += wire[..<taken].map { $0 ^ Self.key }
        let given = min(held.count, 60)
        space.copyBytes(from: held[..<given])
        held.removeFirst(given)
        return TransportProgress(taken: taken, given: given)
    }

    func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        let count = min(plain.count, space.count)
        for index in 0..<count { space[index] = plain[index] ^ Self.key }
        return TransportProgress(taken: count, given: count)
    }
}

@Suite("Connections that move")
struct MovingTests {
    @Test("No byte of the wire is lost on the way to another loop", arguments: ["a transport", "a transport that passes on", "plain bytes"])
    func bytes(behind: String) throws {
        let transport: @Sendable () -> (any Transport)? = {
            switch behind {
            case "a transport": Doling()
            case "plain bytes": nil
            default: ProxyHeaderReader(next: Doling())
            }
        }
        let there = try LoopFixture { nil }
        let here = try LoopFixture(movingTo: there.thread, transport)
        defer {
            here.stop()
            there.stop()
        }
        let client = here.connect()
        defer { client.close() }
        let plain = (0..<300).flatMap { LoopFixture.frame($0, of: 60 + $0) }
        let key = behind == "plain bytes" ? 0 : Doling.key
        let header = behind == "a transport that passes on" ? Array("PROXY UNKNOWN\r\n".utf8) : []
        client.send(header + plain.map { $0 ^ key })
        #expect(client.receive(plain.count).map { $0 ^ key } == plain)
        #expect(here.seen.now.received.isEmpty && there.seen.now.received == plain)
    }
}
