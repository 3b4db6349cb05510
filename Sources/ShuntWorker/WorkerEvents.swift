import ExchangeCodec
import ShuntCore
import ShuntEngine
import ShuntRules
import Synchronization

/// What happened to the rules and is worth to be looked up later: the master is told of it with the next heartbeats, and writes it down.
///
/// An event is kept until a master has taken it, and for a minute more: a master that comes then may not have written it before it ended. A master
/// knows what it has written.
public final class WorkerEvents: Sendable {
    private struct State {
        /// In the order of their numbers.
        var events: [WorkerEvent] = []
        var last: Int64 = 0
        /// The number of the last one that the present master has taken.
        var taken: Int64 = 0
        /// Events that were let go before a master had taken them, since one took some.
        var lost = 0
        var counts: [EventRecord.Kind: Int] = [:]

        /// Lets go of what a master took a while ago.
        mutating func forget(now: Double) {
            events.removeAll { $0.number <= taken && abs(now - $0.at) > keptFor }
        }
    }

    private let state = Mutex(State())
    private static let capacity = 256
    private static let maximumDetail = 500
    /// Seconds for which an event is kept that a master has taken.
    private static let keptFor = 60.0

    public init() {}

    func add(_ kind: EventRecord.Kind, _ detail: String, now: Double) {
        state.withLock { state in
            state.last += 1
            state.counts[kind, default: 0] += 1
            state.forget(now: now)
            if state.events.count >= Self.capacity {
                if state.events.removeFirst().number > state.taken { state.lost += 1 }
            }
            let text = PrintableText.of(String(detail.prefix(Self.maximumDetail)))
            state.events.append(WorkerEvent(number: state.last, at: now, kind: kind, detail: text))
        }
    }

    /// A breaker has switched a rule off on a loop, or on again.
    func add(_ event: RuleLogEntry.Event, rule: String, loop: UInt8, now: Double) {
        switch event {
        case .off: add(.ruleOff, "\(rule) on loop \(loop): too many errors", now: now)
        case .on: add(.ruleOn, "\(rule) on loop \(loop), to try", now: now)
        }
    }

    /// What a heartbeat tells: the oldest that the master has not taken.
    /// - Parameter number: the number of the last event that the heartbeat before has told.
    func untold(after number: Int64 = 0) -> [WorkerEvent] {
        state.withLock { state in
            let last = max(state.taken, number)
            var events = Array(state.events.drop { $0.number <= last }.prefix(ShuntExtension.maximumEvents))
            if state.lost > 0, number <= state.taken, !events.isEmpty { events[0].detail += "; events before this one that are lost: \(state.lost)" }
            return events
        }
    }

    /// A master has taken all events up to this number.
    func took(upTo number: Int64, now: Double) {
        state.withLock { state in
            guard number > state.taken else { return }
            (state.taken, state.lost) = (number, 0)
            state.forget(now: now)
        }
    }

    /// The master has gone: the next one, or the same that has started again, may not know what it took last.
    func masterLost(now: Double) {
        state.withLock { state in
            state.forget(now: now)
            state.taken = (state.events.first?.number ?? state.last + 1) - 1
        }
    }

    /// How often each has happened.
    func count(_ kind: EventRecord.Kind) -> Int { state.withLock { $0.counts[kind] ?? 0 } }
}
