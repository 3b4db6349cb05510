/// What is to happen at some time, the first first; of one time, what was inserted first. Entries that no longer count stay until their time has
/// come, or until there are too many.
struct Deadlines<Element> {
    private typealias Entry = (at: Double, number: UInt64, element: Element)
    private var heap: ContiguousArray<Entry> = []
    /// Of the entry that was inserted last.
    private var number: UInt64 = 0

    var count: Int { heap.count }
    var first: (at: Double, element: Element)? { heap.first.map { ($0.at, $0.element) } }

    private static func isBefore(_ one: Entry, _ other: Entry) -> Bool { (one.at, one.number) < (other.at, other.number) }

    mutating func insert(_ element: Element, at time: Double) {
        number += 1
        heap.append((time, number, element))
        var place = heap.count - 1
        while place > 0, Self.isBefore(heap[place], heap[(place - 1) / 2]) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    /// The first entry, if its time has come.
    mutating func popDue(now: Double) -> Element? {
        guard let first = heap.first, first.at <= now else { return nil }
        return popFirst()
    }

    mutating func popFirst() -> Element? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink(0)
        }
        return first.element
    }

    /// Keeps what still counts.
    mutating func keep(where isValid: (Double, Element) -> Bool) {
        heap.removeAll { !isValid($0.at, $0.element) }
        for place in stride(from: heap.count / 2 - 1, through: 0, by: -1) { sink(place) }
    }

    private mutating func sink(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in [place * 2 + 1, place * 2 + 2] where child < heap.count && Self.isBefore(heap[child], heap[least]) { least = child }
            guard least != place else { return }
            heap.swapAt(place, least)
            place = least
        }
    }
}
