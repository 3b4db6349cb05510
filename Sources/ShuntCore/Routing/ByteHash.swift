/// A hash of byte strings under secrets of the process, so that a sender can't choose strings that collide.
///
/// Folded multiplications: each step multiplies sixteen bytes, mixed with secrets, to 128 bits, and adds the halves up. Several times
/// as fast as the standard library's hash for strings of a topic's length.
public enum ByteHash {
    private struct Secrets {
        let first: UInt64
        let second: UInt64
        let third: UInt64

        init() {
            // The standard library's own secret is drawn when the process starts.
            func draw(_ number: Int) -> UInt64 {
                var hasher = Hasher()
                hasher.combine(number)
                return UInt64(truncatingIfNeeded: hasher.finalize()) | 1
            }
            (first, second, third) = (draw(1), draw(2), draw(3))
        }
    }

    private static let secrets = Secrets()

    @inline(__always)
    public static func of(_ bytes: Bytes) -> UInt32 {
        let secrets = Self.secrets
        let count = bytes.count
        var hash = secrets.first ^ UInt64(truncatingIfNeeded: count)
        guard count > 0, let start = bytes.baseAddress else { return finish(hash, 0, secrets) }
        var at = 0
        while count - at > 16 {
            hash = fold(load(start, at) ^ secrets.second, load(start, at + 8) ^ hash)
            at += 16
        }
        // The last 1 to 16 bytes, in two words that may overlap.
        var (low, high): (UInt64, UInt64) = (0, 0)
        switch count - at {
        case 8...: (low, high) = (load(start, at), load(start, count - 8))
        case 4...: (low, high) = (load4(start, at), load4(start, count - 4))
        default:
            low =
                UInt64(start.load(fromByteOffset: at, as: UInt8.self)) << 16
                | UInt64(start.load(fromByteOffset: at + (count - at) / 2, as: UInt8.self)) << 8
                | UInt64(start.load(fromByteOffset: count - 1, as: UInt8.self))
        }
        return finish(fold(low ^ secrets.second, high ^ hash), UInt64(truncatingIfNeeded: count), secrets)
    }

    /// A hash of a number.
    @inline(__always)
    static func of(_ number: UInt64) -> UInt32 { finish(number, 0, secrets) }

    @inline(__always)
    private static func finish(_ hash: UInt64, _ count: UInt64, _ secrets: Secrets) -> UInt32 {
        UInt32(truncatingIfNeeded: fold(hash ^ secrets.third, count ^ secrets.second))
    }

    @inline(__always)
    private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other)
        return product.high ^ product.low
    }

    @inline(__always)
    private static func load(_ start: UnsafeRawPointer, _ at: Int) -> UInt64 { start.loadUnaligned(fromByteOffset: at, as: UInt64.self) }

    @inline(__always)
    private static func load4(_ start: UnsafeRawPointer, _ at: Int) -> UInt64 {
        UInt64(start.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
}
