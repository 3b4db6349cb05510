/// A queue in one array: what has been taken stays until half of the array is empty. Takes no memory while nothing waits.
struct Fifo<Element> {
    private var items: ContiguousArray<Element> = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { count == 0 }
    var first: Element? { isEmpty ? nil : items[head] }
    var all: ArraySlice<Element> { ArraySlice(items[head...]) }

    subscript(place: Int) -> Element {
        get { items[head + place] }
        set { items[head + place] = newValue }
    }

    mutating func append(_ element: Element) { items.append(element) }

    /// Puts an element before the one at a place, or at the end.
    mutating func insert(_ element: Element, at place: Int) {
        if place == 0, head > 0 {
            head -= 1
            items[head] = element
        } else {
            items.insert(element, at: head + min(place, count))
        }
    }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        defer { tidy() }
        head += 1
        return items[head - 1]
    }

    mutating func remove(at place: Int) -> Element {
        if place == 0, let first = popFirst() { return first }
        return items.remove(at: head + place)
    }

    mutating func removeAll() { (items, head) = ([], 0) }

    private mutating func tidy() {
        if head == items.count {
            // What a burst has taken is given back.
            items.removeAll(keepingCapacity: items.capacity <= 64)
            head = 0
        } else if head >= 32, head * 2 >= items.count {
            items.removeFirst(head)
            head = 0
        }
    }
}
