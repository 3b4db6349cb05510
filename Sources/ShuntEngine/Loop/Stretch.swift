import ShuntCore

/// Where the bytes of an action are, and what form they have.
///
/// Packed by hand: the fields are written and read as whole words, which the processor forwards from one action to the next without waiting.
/// Twelve bytes, so that an action takes 24.
public struct Stretch: Equatable, Sendable {
    public enum Source: UInt8, Sendable {
        /// The bytes that were passed to the event.
        case input
        /// The engine's own `made` bytes.
        case made
    }

    /// From the top: source 8 bits, form 8, block 16, offset 32.
    @usableFromInline let place: UInt64
    public let count: UInt32

    /// - Parameter offset: from the start of the input, or of the block of made bytes.
    @inlinable @inline(__always)
    public init(_ source: Source, _ form: WireForm, offset: Int, count: Int) {
        self.init(source, form, block: 0, offset: offset, count: count)
    }

    /// - Parameter block: of the made bytes.
    @usableFromInline @inline(__always)
    init(_ source: Source, _ form: WireForm, block: Int, offset: Int, count: Int) {
        place = UInt64(source.rawValue) << 56 | UInt64(form.rawValue) << 48 | UInt64(UInt16(block)) << 32 | UInt64(UInt32(offset))
        self.count = UInt32(count)
    }

    @inlinable public var source: Source { place >> 56 == 0 ? .input : .made }
    /// The byte is one that `init` has put there.
    @inlinable public var form: WireForm { WireForm(rawValue: UInt8(truncatingIfNeeded: place >> 48)).unsafelyUnwrapped }
    var block: Int { Int(place >> 32 & 0xFFFF) }
    @inlinable public var offset: Int { Int(place & 0xFFFF_FFFF) }
    @inlinable public var range: Range<Int> { offset..<offset + Int(count) }

    /// No bytes.
    @usableFromInline static let none = Stretch(.input, .exchange, offset: 0, count: 0)
    @inline(__always) var isNone: Bool { count == 0 }
}
