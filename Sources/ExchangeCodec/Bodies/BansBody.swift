import ShuntCore

/// What one of Shunt's masters tells a worker of Shunt about bans: a BINDING frame with the name `bans` and the key `ALL`, `ADD` or `REMOVE`.
/// The worker does not answer.
public enum BansBody: Equatable, Sendable {
    public static let frameName = "bans"
    private static let (allKey, addKey, removeKey) = ("ALL", "ADD", "REMOVE")

    /// In the place of all that were told before.
    case all([Ban])
    case add([Ban])
    case remove([BanSubject])

    /// - Throws: `request.invalid` if this is not the object, or the key is another one.
    public init(key: String?, decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "bans")
        guard let elements = try object.array("bans") else { throw object.missing("bans") }
        var bans: [Ban] = []
        for element in elements {
            guard case .object(let one) = element else { throw object.mismatch("bans", element, wanted: "objects") }
            guard let subject = try one.string("subject").flatMap({ BanSubject($0) }) else { throw one.missing("subject") }
            let until = try one.integer("until").map { Double(min(max($0, 0), Self.latest)) / 1_000 }
            bans.append(Ban(subject, until: until, why: try one.string("why") ?? ""))
        }
        switch key {
        case Self.allKey: self = .all(bans)
        case Self.addKey: self = .add(bans)
        case Self.removeKey: self = .remove(bans.map(\.subject))
        default: throw ShuntError(.requestInvalid, "the key is unknown", at: "bans", help: "ALL, ADD and REMOVE are known")
        }
    }

    public var key: String {
        switch self {
        case .all: Self.allKey
        case .add: Self.addKey
        case .remove: Self.removeKey
        }
    }

    public func encoded() -> [UInt8] {
        let bans =
            switch self {
            case .all(let bans), .add(let bans): bans
            case .remove(let subjects): subjects.map { Ban($0) }
            }
        return JSONWriter.object { json in
            json.member("bans", objects: bans) { json, ban in
                json.member("subject", ban.subject.description)
                json.member("until", ban.until.map { Int64(min(max(0, $0 * 1_000), Double(Self.latest)).rounded(.up)) })
                if !ban.why.isEmpty { json.member("why", ban.why) }
            }
        }
    }

    /// All bans, in frames that a worker takes: the first one says that it begins anew.
    public static func parts(of bans: some Sequence<Ban>) -> [BansBody] {
        var parts: [[Ban]] = [[]]
        var size = 0
        for ban in bans {
            // JSON may escape every byte with five others.
            let more = 6 * (ban.subject.description.utf8.count + ban.why.utf8.count) + 64
            if size + more > largestPart {
                parts.append([])
                size = 0
            }
            parts[parts.count - 1].append(ban)
            size += more
        }
        return [.all(parts[0])] + parts.dropFirst().map { .add($0) }
    }

    /// Bytes; a worker takes frames of a megabyte from its master.
    private static let largestPart = 900 << 10
    /// Beyond any date, and exact in milliseconds.
    private static let latest: Int64 = 1 << 50
}

/// What a master tells of bans, as it goes to any number of workers.
public struct EncodedBans: Sendable {
    private let key: String
    private let bytes: [UInt8]

    public init(_ body: BansBody) { (key, bytes) = (body.key, body.encoded()) }

    public func frame(id: Int64) -> Frame { Frame(.binding, id: id, format: .json, value: bytes, name: BansBody.frameName, key: key) }
}
