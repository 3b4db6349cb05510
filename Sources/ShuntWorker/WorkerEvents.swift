import ShuntCore
import ShuntEngine
import ShuntRules
import Synchronization

/// What happened to the rules and is worth to be looked up later: the master is told of it with the next heartbeats, and writes it down.
public final class WorkerEvents: Sendable {
    private struct State {
        var events: [WorkerEvent] = []
        var last: Int64 = 0
        var counts: [EventRecord.Kind: Int] = [:]
    }

    private let state = Mutex(State())
    private static let capacity = 16
    private static let maximumDetail = 500
    /// Seconds for which an event is told, so that a master hears of it that comes a little later.
    private static let keptFor = 60.0

    public init() {}

    func add(_ kind: EventRecord.Kind, _ detail: String, now: Double) {
        state.withLock { state in
            state.last += 1
            state.counts[kind, default: 0] += 1
            if state.events.count >= Self.capacity { state.events.removeFirst() }
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

    /// What a heartbeat tells.
    func recent(now: Double) -> [WorkerEvent] {
        state.withLock { state in
            state.events.removeAll { now - $0.at > Self.keptFor }
            return state.events
        }
    }

    /// How often each has happened.
    func count(_ kind: EventRecord.Kind) -> Int { state.withLock { $0.counts[kind] ?? 0 } }
}
