import MQTTCodec
import ShuntCore

/// The messages of QoS 1 and 2 that a publisher has sent and that are not acknowledged: their identifiers, and when each was due.
///
/// 5.0 §4.9: no more than the receive maximum. It allocates nothing after it was made.
struct InflightWindow {
    enum Step: Equatable {
        /// Send PUBREL for the identifier.
        case release
        /// The message that was due then is acknowledged, or refused.
        case done(due: Int)
        /// The identifier awaits no such answer.
        case unexpected
    }

    private enum Phase: UInt8 {
        case free
        case sent
        case released
    }

    private let qos: QoS
    private var phases: [Phase]
    private var dues: [Int]
    private var free: [UInt16]

    /// - Parameter capacity: 1 to 65,535.
    init(_ qos: QoS, capacity: Int) {
        self.qos = qos
        phases = Array(repeating: .free, count: capacity + 1)
        dues = Array(repeating: 0, count: capacity + 1)
        free = (1...capacity).reversed().map { UInt16($0) }
    }

    var isFull: Bool { free.isEmpty }
    var count: Int { phases.count - 1 - free.count }

    /// The identifier of the next message; nil where all are taken.
    @inline(__always)
    mutating func take(due: Int) -> UInt16? {
        guard let identifier = free.popLast() else { return nil }
        phases[Int(identifier)] = .sent
        dues[Int(identifier)] = due
        return identifier
    }

    /// - Parameter isError: whether the answer has a reason code from 0x80: the message goes no further.
    mutating func answered(_ type: PacketType, _ identifier: UInt16, isError: Bool) -> Step {
        let place = Int(identifier)
        guard place < phases.count else { return .unexpected }
        switch (type, phases[place]) {
        case (.publishReceived, .sent) where qos == .exactlyOnce && !isError:
            phases[place] = .released
            return .release
        case (.publishAcknowledgement, .sent) where qos == .atLeastOnce, (.publishReceived, .sent) where qos == .exactlyOnce,
            (.publishComplete, .released):
            phases[place] = .free
            free.append(identifier)
            return .done(due: dues[place])
        default: return .unexpected
        }
    }
}
