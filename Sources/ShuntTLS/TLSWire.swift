import COpenSSL
import ShuntCore

// Unsafe: OpenSSL's objects are C structs. The data of a BIO is an uncounted reference to its owner, which frees the BIO before it ends.

/// What OpenSSL takes for its connection: reads come from the bytes that the loop has read, writes go into the loop's space for the wire.
///
/// Has no memory of its own, except while OpenSSL writes where there is no space: an alert, the answer to a key update, a handshake's share.
final class TLSWire {
    private var incoming = Bytes(start: nil, count: 0)
    /// Bytes of them that OpenSSL has taken.
    private(set) var taken = 0
    private var space = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    /// Bytes that stand in the space.
    private(set) var given = 0
    /// What was written without space for it.
    private var waiting: [UInt8] = []
    /// Bytes that may wait: a peer that asks for more than it reads is cut off.
    private static let waitingLimit = 256 << 10

    /// Bytes of the space that are left.
    var room: Int { space.count - given }
    var hasWaiting: Bool { !waiting.isEmpty }

    /// A BIO that reads and writes here. The caller owns it, and frees it before this ends.
    func makeBIO() -> OpaquePointer? {
        guard let bio = BIO_new(Self.method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(self).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    /// Runs with these bytes to read and this space to write to. What waits is put into the space first.
    func with<Result>(
        _ incoming: Bytes = Bytes(start: nil, count: 0), _ space: UnsafeMutableRawBufferPointer = .init(start: nil, count: 0),
        _ body: () -> Result
    ) -> Result {
        (self.incoming, taken, self.space, given) = (incoming, 0, space, 0)
        if !waiting.isEmpty, !space.isEmpty { moveWaiting() }
        defer { (self.incoming, self.space) = (Bytes(start: nil, count: 0), .init(start: nil, count: 0)) }
        return body()
    }

    private func moveWaiting() {
        let count = min(waiting.count, space.count)
        space.copyBytes(from: waiting[..<count])
        given = count
        if count == waiting.count { waiting = [] } else { waiting.removeFirst(count) }
    }

    private func read(into target: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
        let count = min(count, incoming.count - taken)
        guard count > 0, let start = incoming.baseAddress else { return 0 }
        UnsafeMutableRawPointer(target).copyMemory(from: start + taken, byteCount: count)
        taken += count
        return count
    }

    private func write(_ source: UnsafePointer<CChar>, _ count: Int) -> Bool {
        if waiting.isEmpty, room >= count, let start = space.baseAddress {
            (start + given).copyMemory(from: source, byteCount: count)
            given += count
            return true
        }
        guard waiting.count + count <= Self.waitingLimit else { return false }
        waiting += UnsafeRawBufferPointer(start: source, count: count)
        return true
    }

    // MARK: OpenSSL's side

    private static func of(_ bio: OpaquePointer?) -> TLSWire {
        Unmanaged<TLSWire>.fromOpaque(BIO_get_data(bio).unsafelyUnwrapped).takeUnretainedValue()
    }

    /// Made once, and never freed.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        guard let method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "event loop") else { return nil }
        BIO_meth_set_read(method) { bio, target, count in
            BIO_clear_flags(bio, retryFlags)
            guard let target, count > 0 else { return 0 }
            let read = of(bio).read(into: target, Int(count))
            guard read > 0 else {
                BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
                return -1
            }
            return Int32(read)
        }
        BIO_meth_set_write(method) { bio, source, count in
            BIO_clear_flags(bio, retryFlags)
            guard let source, count > 0 else { return 0 }
            return of(bio).write(source, Int(count)) ? count : -1
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        return method
    }()

    private static let retryFlags = BIO_FLAGS_READ | BIO_FLAGS_WRITE | BIO_FLAGS_IO_SPECIAL | BIO_FLAGS_SHOULD_RETRY
}
