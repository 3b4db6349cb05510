import ShuntCore

/// Workers that take clients, the least loaded first. It is kept in order while heartbeats and clients come, so a question sorts nothing.
///
/// A value. With 10,000 workers a change moves 40 KB of numbers at most.
public struct WorkerOrder: Sendable {
    /// What a worker has to do (§12.2): those that have room come first, then those with fewer connections, fewer requests, fewer of their bytes.
    public struct Load: Comparable, Sendable {
        public var isFull: Bool
        /// Clients that are there, and those that were sent there since.
        public var connections: Int
        public var requests: Int
        public var requestBytes: Int

        public init(isFull: Bool = false, connections: Int, requests: Int = 0, requestBytes: Int = 0) {
            self.isFull = isFull
            self.connections = connections
            self.requests = requests
            self.requestBytes = requestBytes
        }

        public static func < (left: Load, right: Load) -> Bool {
            guard left.isFull == right.isFull else { return right.isFull }
            guard left.connections == right.connections else { return left.connections < right.connections }
            guard left.requests == right.requests else { return left.requests < right.requests }
            return left.requestBytes < right.requestBytes
        }
    }

    private struct Place: Sendable {
        var name: String
        /// The name with a comma before it, for lists.
        var listed: String
        var load: Load
    }

    private var places: [Place] = []
    /// Numbers of places that nobody has.
    private var free: [Int32] = []
    private var numbers: [ExactText: Int32] = [:]
    /// The workers' places, the least loaded first.
    private var order: [Int32] = []

    public init() {}

    public var count: Int { order.count }

    /// The one that gets the next client.
    public var first: String? { order.first.map { places[Int($0)].name } }

    public var names: [String] { order.map { places[Int($0)].name } }

    /// All names, with commas between.
    public var list: String {
        var text = ""
        text.reserveCapacity(order.count * 24)
        for (position, number) in order.enumerated() {
            text += position == 0 ? places[Int(number)].name : places[Int(number)].listed
        }
        return text
    }

    /// The worker takes clients, and has this to do.
    public mutating func set(_ name: String, _ load: Load) {
        guard let number = numbers[ExactText(name)] else { return insert(name, load) }
        guard places[Int(number)].load != load else { return }
        order.remove(at: position(of: number))
        places[Int(number)].load = load
        order.insert(number, at: position(of: number))
    }

    /// The worker takes no more clients.
    public mutating func remove(_ name: String) {
        guard let number = numbers.removeValue(forKey: ExactText(name)) else { return }
        order.remove(at: position(of: number))
        places[Int(number)] = Place(name: "", listed: "", load: Load(connections: 0))
        free.append(number)
    }

    private mutating func insert(_ name: String, _ load: Load) {
        let place = Place(name: name, listed: "," + name, load: load)
        let number: Int32
        if let last = free.popLast() {
            number = last
            places[Int(number)] = place
        } else {
            number = Int32(places.count)
            places.append(place)
        }
        numbers[ExactText(name)] = number
        order.insert(number, at: position(of: number))
    }

    /// Where a place stands in the order, or is to stand: no two are alike, as names differ.
    private func position(of number: Int32) -> Int {
        let sought = places[Int(number)]
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if Self.isBefore(places[Int(order[middle])], sought) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func isBefore(_ left: Place, _ right: Place) -> Bool {
        left.load == right.load ? ExactText(left.name) < ExactText(right.name) : left.load < right.load
    }
}

/// Clients that were sent to a worker, and that its figures may not count yet.
public struct HandedOut: Equatable, Sendable {
    private struct Moment: Equatable, Sendable {
        var begin: Double
        var count: Int
    }

    /// The latest last.
    private var moments: [Moment] = []
    public private(set) var count = 0

    /// Seconds that are counted as one moment.
    static let width = 0.1
    static let capacity = 256

    public init() {}

    /// Another client was sent.
    /// - Returns: what `remove` takes.
    public mutating func add(now: Double) -> Double {
        count += 1
        if let last = moments.last, moments.count == Self.capacity || (0..<Self.width).contains(now - last.begin) {
            moments[moments.count - 1].count += 1
            return last.begin
        }
        moments.append(Moment(begin: now, count: 1))
        return now
    }

    /// The client has not gone there, or is counted.
    public mutating func remove(_ moment: Double) {
        guard let place = moments.lastIndex(where: { $0.begin == moment }) else { return }
        count -= 1
        moments[place].count -= 1
        if moments[place].count == 0 { moments.remove(at: place) }
    }

    /// Clients that were sent this many seconds ago are counted.
    public mutating func settle(_ seconds: Double, now: Double) {
        moments.removeAll { moment in
            let isOver = now - moment.begin >= seconds + Self.width || moment.begin > now
            if isOver { count -= moment.count }
            return isOver
        }
    }
}

/// Questions of clients for workers, by whether there was one.
public struct AllocationCounts: Equatable, Sendable {
    public var answered = 0
    public var none = 0

    public init() {}
}
