import ShuntCore

/// What an HTTP service says about a client.
public enum ServiceAnswer: Equatable, Sendable {
    case allow(Admitted)
    case deny
    /// It does not know the client: what comes next decides.
    case ignore

    /// The longest answer, in bytes.
    public static let maximumSize = 16 << 10

    /// Why an answer cannot be taken, without any part of it.
    public struct Unreadable: Error, Equatable, Sendable {
        public let why: String
    }

    /// A JSON object with `result`, and with `allow` perhaps `uid`, `tags`, `alias`, `acl` and `expires`, which mean what they mean in a token.
    /// Other members are refused, since they may be meant to forbid something.
    /// - Parameter user: the name that the client gives: its uid where the answer has none.
    public init(_ body: [UInt8], user: String?) throws(Unreadable) {
        guard body.count <= Self.maximumSize, let answer = StrictJSON(body), case .object(let members) = answer else {
            throw Unreadable(why: "no JSON object")
        }
        guard members.keys.allSatisfy(Self.members.contains) else {
            throw Unreadable(why: "a member besides \(Self.members.sorted().joined(separator: ", "))")
        }
        switch answer["result"]?.string {
        case "allow": self = .allow(try Self.admitted(answer, user))
        case "deny": self = .deny
        case "ignore": self = .ignore
        default: throw Unreadable(why: "'result' is not allow, deny or ignore")
        }
    }

    private static let members: Set = ["result", "uid", "tags", "alias", "acl", "expires"]

    private static func admitted(_ answer: StrictJSON, _ user: String?) throws(Unreadable) -> Admitted {
        var admitted = Admitted()
        if let uid = answer["uid"] {
            guard let name = uid.string, TokenClaims.isName(name) else { throw Unreadable(why: "'uid' is no name") }
            admitted.uid = name
        } else if let user, !user.isEmpty {
            guard TokenClaims.isName(user) else { throw Unreadable(why: "no 'uid', and the user's name cannot be one") }
            admitted.uid = user
        }
        do throws(TokenRefusal) {
            let (tags, alias) = (try TokenClaims.names(answer["tags"]), try TokenClaims.names(answer["alias"]))
            if !tags.isEmpty { admitted.tags = tags }
            if !alias.isEmpty { admitted.alias = alias }
            admitted.acl = try TokenClaims.lists(answer["acl"])
        } catch {
            throw Unreadable(why: "'tags', 'alias' or 'acl' has a wrong form")
        }
        if let expires = answer["expires"] {
            guard let time = expires.number, time >= 0 else { throw Unreadable(why: "'expires' is no time in seconds since 1970") }
            admitted.expiresAt = time
        }
        return admitted
    }

    /// Seconds since 1970 when it no longer counts.
    public var expiresAt: Double {
        if case .allow(let admitted) = self { admitted.expiresAt } else { .infinity }
    }
}
