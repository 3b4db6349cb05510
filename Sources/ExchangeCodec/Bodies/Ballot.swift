import ShuntCore

/// What a worker remembers of the masters of its cluster and repeats in each heartbeat, so that masters which cannot hear one another learn of
/// each other by it. It lasts as long as the worker runs.
public struct Ballot: Equatable, Sendable {
    /// The term of the last master that it has joined; 0 where that has no peers.
    public var term: Int64 = 0
    /// The number of the electorate that the master has told it of, and the electorate's size; 0 where it is in none.
    public var version: Int64 = 0
    public var size: Int = 0
    /// The highest term in which it has promised to join a master, and which. In one term it promises once.
    public var promised: Int64 = 0
    public var candidate = ""

    public init(term: Int64 = 0, version: Int64 = 0, size: Int = 0, promised: Int64 = 0, candidate: String = "") {
        (self.term, self.version, self.size, self.promised, self.candidate) = (term, version, size, promised, candidate)
    }

    init(heartbeat: LenientObject) throws(ShuntError) {
        guard let object = try heartbeat.object("ballot") else { return }
        term = max(0, try object.integer("term") ?? 0)
        version = max(0, try object.integer("version") ?? 0)
        size = Int(clamping: max(0, try object.integer("of") ?? 0))
        promised = max(0, try object.integer("promised") ?? 0)
        candidate = try object.string("to") ?? ""
    }

    func write(to json: inout JSONWriter) {
        guard self != Ballot() else { return }
        json.member("ballot") { json in
            json.member("term", term)
            json.member("version", version)
            json.member("of", size)
            if promised > 0 {
                json.member("promised", promised)
                json.member("to", candidate)
            }
        }
    }
}
