import Glibc
import ShuntCore
import Testing

@testable import ShuntReactor

@Suite("Idle connections")
struct ConnectionSizeTests {
    @Test("An idle connection's own object fits a block of 128 bytes, of which the allocator needs 8")
    func size() throws {
        let id = ConnectionID(loop: 0, slot: 0, generation: 0)
        #expect(try size { Connection(id: id, role: .accepted(listener: 0), descriptor: -1) } <= 120)
    }

    @Test("An idle client of WebSocket keeps two small objects besides; a frame's reader goes when the frame is whole")
    func webSocket() throws {
        let harness = WebSocketHarness()
        let frame = WebSocketHarness.frame(2, [1, 2, 3]) + WebSocketHarness.frame(9, [4])
        for count in 0..<frame.count {
            harness.receive(Array(frame.prefix(count)))
            #expect((harness.transport.reader == nil) == (count == 0 || count == 9))
            harness.receive(Array(frame.dropFirst(count)))
            #expect(harness.transport.reader == nil)
        }
        #expect(try size { WebSocketHarness().transport } + size { TransportLayer(harness.transport, since: 1) } <= 256)
    }

    /// What the allocator gives an object, in bytes. It takes the smallest of several: a block may be larger than what was asked for where
    /// it was cut of a piece too small for two.
    private func size(_ make: () -> AnyObject) throws -> Int {
        let symbol = try #require(dlsym(nil, "malloc_usable_size"))
        let usableSize = unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutableRawPointer) -> Int).self)
        let objects = (0..<32).map { _ in make() }
        return try #require(
            withExtendedLifetime(objects) { objects.map { usableSize(Unmanaged.passUnretained($0).toOpaque()) }.min() })
    }
}
