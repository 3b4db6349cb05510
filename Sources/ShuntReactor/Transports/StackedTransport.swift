import ShuntCore

/// Two transports, one in the other: WebSocket's frames in TLS's records.
///
/// Has buffers of its own only while something is on its way between the two.
public final class StackedTransport: Transport {
    /// Next to the wire.
    private let lower: any Transport
    /// Next to the handler; never `.passed`.
    private let upper: any Transport
    /// Plain bytes of the lower one that the upper one has not taken, and bytes that the upper one has written for the lower one.
    private var arrived = Between()
    private var leaving = Between()
    private var isFinishing = false
    private var isLowerFinished = false

    public init(_ lower: any Transport, carrying upper: any Transport) {
        self.lower = lower
        self.upper = upper
    }

    deinit {
        arrived.release()
        leaving.release()
    }

    public var phase: TransportPhase {
        switch lower.phase {
        case .opening(let what): .opening(what)
        case .ended: .ended
        case .open, .passed: upper.phase
        }
    }

    public var remoteAddress: PeerAddress? { upper.remoteAddress ?? lower.remoteAddress }
    public var clientCertificate: ClientCertificate? { lower.clientCertificate ?? upper.clientCertificate }
    public var openingSeconds: Int? { isLowerOpen ? upper.openingSeconds : lower.openingSeconds }
    public var hasWork: Bool { lower.hasWork || upper.hasWork }

    private var isLowerOpen: Bool {
        if case .opening = lower.phase { return false }
        return true
    }

    public func work() throws(TransportFailure) {
        if lower.hasWork { try lower.work() } else { try upper.work() }
    }

    public func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var taken = 0
        while true {
            if isLowerOpen {
                let above = try upper.read(arrived.bytes, into: space)
                arrived.took(above.taken)
                if above.given > 0 { return TransportProgress(taken: taken, given: above.given) }
                guard arrived.isEmpty else { throw TransportFailure("the transport does not take what has come") }
            }
            let below = try lower.read(Bytes(rebasing: wire[taken...]), into: arrived.room())
            arrived.filled(below.given)
            taken += below.taken
            if below.given == 0 { return TransportProgress(taken: taken, given: 0) }
        }
    }

    public func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var taken = 0
        while true {
            if leaving.isEmpty, isLowerOpen {
                let above = try upper.write(Bytes(rebasing: plain[taken...]), into: leaving.room())
                leaving.filled(above.given)
                taken += above.taken
            }
            let below = try lower.write(leaving.bytes, into: space)
            leaving.took(below.taken)
            if below.given > 0 { return TransportProgress(taken: taken, given: below.given) }
            guard below.taken == 0 else { continue }
            guard isFinishing, leaving.isEmpty, taken == 0, !isLowerFinished else { return TransportProgress(taken: taken, given: 0) }
            isLowerFinished = true
            lower.finish()
        }
    }

    public func finish(because reason: CloseReason) {
        isFinishing = true
        upper.finish(because: reason)
    }

    /// Bytes on their way between the two.
    private struct Between {
        private var block: UnsafeMutableRawBufferPointer?
        private var head = 0
        private var tail = 0
        private static let size = 64 << 10

        var isEmpty: Bool { head == tail }
        var bytes: Bytes { Bytes(rebasing: UnsafeRawBufferPointer(block ?? .init(start: nil, count: 0))[head..<tail]) }

        /// Where bytes go, while there are none.
        mutating func room() -> UnsafeMutableRawBufferPointer {
            let room = block ?? .allocate(byteCount: Self.size, alignment: 64)
            block = room
            return room
        }

        mutating func filled(_ count: Int) {
            (head, tail) = (0, count)
            if count == 0 { release() }
        }

        mutating func took(_ count: Int) {
            head += count
            if head == tail { release() }
        }

        mutating func release() {
            block?.deallocate()
            (block, head, tail) = (nil, 0, 0)
        }
    }
}
