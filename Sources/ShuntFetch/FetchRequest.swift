/// A request for a small JSON document.
public struct FetchRequest: Sendable {
    /// `http://` or `https://`.
    public var url: String
    /// JSON to POST; nil: a GET.
    public var body: [UInt8]?
    /// Header lines, without line ends; nil: those of JSON. With them, the answer has its headers.
    public var headers: [String]?
    /// PEM of the authorities that the server's certificate is checked with; nil: those of the system.
    public var authorities: [UInt8]?
    /// Seconds that a try may take.
    public var timeLimit = 10.0
    /// The longest body of an answer, in bytes: a longer one ends the transfer.
    public var maximumSize = 1 << 20
    /// How often it is tried again where nobody answers, or the server says that it cannot (5xx).
    public var retries = 0
    /// Seconds before it is tried again.
    public var pause = 0.2
    public var lane: FetchLane
    /// Whom it is for, among those who share its lane: each has at most half of what is under way, and all have their turns. 0: nobody's.
    public var sharer: UInt64 = 0

    public init(url: String, body: [UInt8]? = nil, lane: FetchLane) {
        (self.url, self.body, self.lane) = (url, body, lane)
    }
}

/// Requests that share a bound.
public struct FetchLane: Hashable, Sendable {
    public var name: String
    /// The most requests under way, those that wait to be tried again too.
    public var limit: Int
    /// The most requests that wait for their turn.
    public var waiting: Int
    /// Seconds that a request may wait for its turn.
    public var patience: Double

    public init(_ name: String, limit: Int, waiting: Int = 1000, patience: Double = 10) {
        (self.name, self.limit, self.waiting, self.patience) = (name, max(1, limit), waiting, patience)
    }
}

/// What a server has answered, whatever its status.
public struct FetchResponse: Equatable, Sendable {
    public var status: Int
    public var body: [UInt8]
    /// By their names in small letters; of one that comes again, the last.
    public var headers: [String: String] = [:]

    public init(status: Int, body: [UInt8], headers: [String: String] = [:]) { (self.status, self.body, self.headers) = (status, body, headers) }

    /// Header lines as they came.
    static func headers(_ lines: UnsafeBufferPointer<UInt8>) -> [String: String] {
        var headers: [String: String] = [:]
        for line in lines.split(separator: UInt8(ascii: "\n")).dropFirst() {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0D }
            let value = line[line.index(after: colon)...].drop(while: isBlank)
            let end = value.lastIndex { !isBlank($0) }.map { value.index(after: $0) } ?? value.startIndex
            headers[String(decoding: line[..<colon], as: UTF8.self).lowercased()] = String(decoding: value[..<end], as: UTF8.self)
        }
        return headers
    }
}

/// Why there is no answer.
public enum FetchFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// With what libcurl says.
    case unreachable(String)
    case timedOut
    case tooLarge
    /// Too many requests wait, or this one has waited too long.
    case busy
    /// The fetcher is stopped.
    case stopped

    public var description: String {
        switch self {
        case .unreachable(let why): why
        case .timedOut: "no answer in time"
        case .tooLarge: "the answer is too large"
        case .busy: "too many requests are under way"
        case .stopped: "the process ends"
        }
    }
}
