/// What the topics of a route table carry, by the places of their routes.
///
/// An object with memory of its own: the router counts each message here, and writes three numbers for it, without a look at an array that may be
/// shared. One loop uses it.
public final class TopicCounters {
    /// Unsafe, since each message would pay for checks of its place. `room(for:)` is called before a route has a place.
    private var counters: UnsafeMutablePointer<TopicTraffic>
    private var capacity = 64
    var periods = TrafficPeriods()

    init() {
        counters = .allocate(capacity: capacity)
        counters.initialize(repeating: TopicTraffic(), count: capacity)
    }

    deinit { counters.deallocate() }

    /// Makes room for so many routes.
    func room(for count: Int) {
        guard count > capacity else { return }
        let larger = UnsafeMutablePointer<TopicTraffic>.allocate(capacity: 2 * count)
        larger.moveInitialize(from: counters, count: capacity)
        (larger + capacity).initialize(repeating: TopicTraffic(), count: 2 * count - capacity)
        counters.deallocate()
        (counters, capacity) = (larger, 2 * count)
    }

    subscript(place: Int) -> TopicTraffic {
        get {
            precondition(place < capacity)
            return counters[place]
        }
        set {
            precondition(place < capacity)
            counters[place] = newValue
        }
    }

    /// Counts a message of a route's topic.
    /// - Parameters:
    ///   - bytes: of the message as it came.
    ///   - recipients: the recipients that were chosen for it.
    @inline(__always)
    public func count(_ route: RouteReference, bytes: Int, recipients: Int) {
        counters[Int(route.index)].count(messages: 1, bytes: bytes, recipients: recipients, in: periods.number)
    }

    /// Counts recipients of a message that has been counted.
    @inline(__always)
    public func countRecipients(_ route: RouteReference, _ recipients: Int) {
        counters[Int(route.index)].count(messages: 0, bytes: 0, recipients: recipients, in: periods.number)
    }
}
