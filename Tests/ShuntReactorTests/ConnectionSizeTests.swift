import Glibc
import ShuntCore
import Testing

@testable import ShuntReactor

@Suite("Idle connections")
struct ConnectionSizeTests {
    @Test("An idle connection's own object fits a block of 128 bytes, of which the allocator needs 8")
    func size() throws {
        let symbol = try #require(dlsym(nil, "malloc_usable_size"))
        let usableSize = unsafeBitCast(symbol, to: (@convention(c) (UnsafeMutableRawPointer) -> Int).self)
        let connection = Connection(id: ConnectionID(loop: 0, slot: 0, generation: 0), role: .accepted(listener: 0), descriptor: -1)
        #expect(usableSize(Unmanaged.passUnretained(connection).toOpaque()) <= 120)
        withExtendedLifetime(connection) {}
    }
}
