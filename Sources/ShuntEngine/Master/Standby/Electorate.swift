/// The workers of a serving master that are its quorum: while it hears half of them or more, no other master can have more than half.
///
/// Its members change one step at a time. A new electorate counts beside the old one until half of both know of it: a master that gets more
/// than half of the old one then meets a worker that knows the new one.
struct Electorate: Equatable, Sendable {
    struct Group: Equatable, Sendable {
        var names: Set<String>
        /// How many workers there are; may be more than the names that are known.
        var size: Int

        init(_ names: Set<String>, size: Int? = nil) { (self.names, self.size) = (names, size ?? names.count) }

        /// Whether these are half of it or more.
        func isHeld(by workers: Set<String>) -> Bool { 2 * names.count(where: workers.contains) >= size }
    }

    /// The number of `proposed`, or where there is none of `committed`.
    private(set) var version: Int64 = 1
    private(set) var committed: Group
    private(set) var proposed: Group?
    /// Members that have repeated `version`.
    private var aware: Set<String> = []
    /// Members that have signed off: they vote for nobody else.
    private var gone: Set<String> = []

    /// - Parameters:
    ///   - old: the electorate of the master before, as far as it is known.
    ///   - first: the workers that are there.
    init(old: Group, first: Set<String>) {
        committed = old
        proposed = Group(first)
    }

    /// The newest, which workers are told of.
    var newest: Group { proposed ?? committed }

    /// A worker has repeated this number, or 0.
    mutating func heard(_ worker: String, version heard: Int64) {
        gone.remove(worker)
        if heard == version { aware.insert(worker) }
    }

    mutating func left(_ worker: String) { gone.insert(worker) }

    /// Goes on to the next electorate where that is possible.
    /// - Parameter present: the workers that are to be in it.
    mutating func settle(present: Set<String>) {
        if let next = proposed, committed.isHeld(by: aware.union(gone)), next.isHeld(by: aware.union(gone)) {
            committed = next
            proposed = nil
        }
        guard proposed == nil, committed != Group(present) else { return }
        version += 1
        proposed = Group(present)
        aware = []
        gone.formIntersection(committed.names)
    }

    /// Whether the master may serve.
    /// - Parameter live: the workers that it hears.
    func isHeld(by live: Set<String>) -> Bool {
        let those = live.union(gone)
        return committed.isHeld(by: those) && proposed?.isHeld(by: those) ?? true
    }

    /// How many of the newest it hears, for people.
    func heard(of live: Set<String>) -> (heard: Int, size: Int) { (newest.names.intersection(live).count, newest.size) }
}
