import ShuntCore

/// Where the bytes of an action are, and what form they have. Twelve bytes, so that an action takes 24.
public struct Stretch: Equatable, Sendable {
    public enum Source: UInt8, Sendable {
        /// The bytes that were passed to the event.
        case input
        /// The engine's own `made` bytes.
        case made
    }

    public let source: Source
    public let form: WireForm
    /// The block of the made bytes.
    let block: UInt16
    public let offset: UInt32
    public let count: UInt32

    /// - Parameter offset: from the start of the input, or of the block of made bytes.
    @inlinable @inline(__always)
    public init(_ source: Source, _ form: WireForm, offset: Int, count: Int) {
        self.init(source, form, block: 0, offset: offset, count: count)
    }

    @usableFromInline @inline(__always)
    init(_ source: Source, _ form: WireForm, block: Int, offset: Int, count: Int) {
        self.source = source
        self.form = form
        self.block = UInt16(block)
        self.offset = UInt32(offset)
        self.count = UInt32(count)
    }

    /// No bytes.
    static let none = Stretch(.input, .exchange, offset: 0, count: 0)
    @inline(__always) var isNone: Bool { count == 0 }
    public var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}
