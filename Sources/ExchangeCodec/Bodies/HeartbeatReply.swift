/// The text of a master's answer to a heartbeat of one of Shunt's workers, which tells the worker what kind of master it has. Java workers are
/// sent none.
///
/// Words with spaces between. A master without peers says `shunt` or `shunt report`; one with peers adds what it knows of its term.
public enum HeartbeatReply: Equatable, Sendable {
    /// The master serves, and takes reports.
    /// - mustReport: it has forgotten what this worker holds, and the worker should tell all of it again.
    /// - standing: nil from a master without peers.
    case serving(mustReport: Bool, Standing?)
    /// Another master serves, or none does for now.
    case standby(StandbyNotice)

    /// Who lets a master serve, as it tells the worker.
    public struct Standing: Equatable, Sendable {
        /// Grows with each master that begins to serve.
        public var term: Int64
        /// The electorate that the worker is in, and how many workers that has; 0 while it is in none.
        public var version: Int64
        public var size: Int

        public init(term: Int64, version: Int64, size: Int) { (self.term, self.version, self.size) = (term, version, size) }
    }

    /// What a master says that does not serve.
    public struct StandbyNotice: Equatable, Sendable {
        /// The last term that it has heard of.
        public var term: Int64
        /// The master to go to, `host:port`; nil where this one knows none.
        public var serving: String?
        /// The term in which it wants to serve, and asks for the worker's promise; and its own address, for which the promise is.
        public var vote: Vote?

        public struct Vote: Equatable, Sendable {
            public var term: Int64
            public var candidate: String

            public init(term: Int64, candidate: String) { (self.term, self.candidate) = (term, candidate) }
        }

        public init(term: Int64, serving: String? = nil, vote: Vote? = nil) {
            (self.term, self.serving, self.vote) = (term, serving, vote)
        }
    }

    private static let (shunt, report, standby) = ("shunt", "report", "standby")

    /// nil for another text: the master is message-channel's. Words that are not known mean nothing.
    public init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.first == Substring(Self.shunt) else { return nil }
        var values: [Substring: Substring] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[parts[0]] = parts[1] }
        }
        func number(_ key: Substring) -> Int64? { values[key].flatMap { Int64($0) }.map { max(0, $0) } }
        guard !words.contains(Substring(Self.standby)) else {
            var notice = StandbyNotice(term: number("term") ?? 0, serving: values["go"].map(String.init))
            if let vote = number("vote"), let candidate = values["for"] { notice.vote = .init(term: vote, candidate: String(candidate)) }
            self = .standby(notice)
            return
        }
        let standing = number("term").map { Standing(term: $0, version: number("version") ?? 0, size: Int(number("of") ?? 0)) }
        self = .serving(mustReport: words.contains(Substring(Self.report)), standing)
    }

    public var text: String {
        var words = [Self.shunt]
        switch self {
        case .serving(let mustReport, let standing):
            if mustReport { words.append(Self.report) }
            if let standing { words += ["term=\(standing.term)", "version=\(standing.version)", "of=\(standing.size)"] }
        case .standby(let notice):
            words += [Self.standby, "term=\(notice.term)"]
            if let serving = notice.serving { words.append("go=\(serving)") }
            if let vote = notice.vote { words += ["vote=\(vote.term)", "for=\(vote.candidate)"] }
        }
        return words.joined(separator: " ")
    }
}
