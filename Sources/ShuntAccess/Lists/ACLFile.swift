import ShuntConfig
import ShuntCore

/// Which topics a client may read and write: a file in mosquitto's syntax (`acl_file` in mosquitto.conf(5)).
///
/// A client without a uid has the `topic` lines before the first `user` line, another one those after the line of its uid; `pattern` lines
/// are for all, with `%u` and `%c` filled in. A `deny` that takes a topic decides, wherever it stands; then a line that allows it; else the
/// topic is denied. "read" means to subscribe, with and without a consumer group, "write" to publish; `write $shunt/notify` means to send
/// broadcasts, `write $chat/ID` to be in a chat.
public struct ACLFile: Sendable {
    /// One `topic` or `pattern` line.
    struct Line: Sendable {
        /// The actions that it allows or denies.
        var actions: AccessActions
        var isAllowed: Bool
        var filter: TopicTemplate
        /// The line in the file, from 1.
        var number: Int
    }

    let name: String
    private(set) var anonymous: [Line] = []
    private(set) var users: [ExactText: [Line]] = [:]
    private(set) var patterns: [Line] = []

    /// The largest file, in bytes.
    public static let maximumSize = 16 << 20
    public static let maximumLines = 200_000

    /// - Parameter name: the file's name, for errors.
    /// - Throws: every wrong line with its number.
    public init(_ text: String, name: String) throws(ConfigurationErrors) {
        self.name = name
        var user: ExactText?
        var lines = 0
        try TextLines.readEntries(of: text, name: name) { (line, number) throws(ShuntError) in
            lines += 1
            guard lines <= Self.maximumLines else {
                // Told once.
                if lines == Self.maximumLines + 1 { throw ShuntError(.configRange, "too many lines", help: "at most \(Self.maximumLines)") }
                return
            }
            try read(line, number, &user)
        }.throwAny()
    }

    private mutating func read(_ line: String, _ number: Int, _ user: inout ExactText?) throws(ShuntError) {
        var rest = line[...]
        let word = Self.takeWord(&rest)
        switch word {
        case "user":
            guard !rest.isEmpty else { throw ShuntError(.configInvalid, "no name after 'user'", help: "user NAME") }
            user = ExactText(String(rest))
            // A user without any topic is known, too, and may do nothing.
            users[ExactText(String(rest)), default: []] += []
        case "topic":
            let line = try Self.entry(rest, isPattern: false, number)
            if let user { users[user, default: []].append(line) } else { anonymous.append(line) }
        case "pattern": patterns.append(try Self.entry(rest, isPattern: true, number))
        default:
            let close = Suggestion.closest(to: String(word), in: ["user", "topic", "pattern"])
            throw ShuntError(
                .configUnknownKey, "a line that begins with '\(ConfigDiagnostics.excerpt(String(word)))'",
                help: close.map { "did you mean '\($0)'?" } ?? "user, topic, pattern, or # for a comment")
        }
    }

    private static func entry(_ text: Substring, isPattern: Bool, _ number: Int) throws(ShuntError) -> Line {
        var rest = text
        let first = takeWord(&rest)
        let kinds: [String: (AccessActions, Bool)] = [
            "read": (.read, true), "write": (.write, true), "readwrite": (.all, true), "deny": (.all, false),
        ]
        var (actions, isAllowed) = (AccessActions.all, true)
        var filter = text
        if let kind = kinds[String(first)] {
            (actions, isAllowed) = kind
            filter = rest
        } else if !rest.isEmpty {
            throw ShuntError(
                .configInvalid, "'\(ConfigDiagnostics.excerpt(String(first)))' is not a kind of access",
                help: "read, write, readwrite or deny; a topic with blanks needs one of them before it")
        }
        guard !filter.isEmpty else { throw ShuntError(.configInvalid, "no topic", help: "topic [read|write|readwrite|deny] FILTER") }
        try TopicTemplate.check(String(filter))
        return Line(actions: actions, isAllowed: isAllowed, filter: TopicTemplate(String(filter), isFilled: isPattern), number: number)
    }

    /// Takes a word off the text, and the blanks after it.
    private static func takeWord(_ rest: inout Substring) -> Substring {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        rest = Substring(rest.utf8.drop(while: isBlank))
        let word = rest.utf8.prefix { !isBlank($0) }
        rest = Substring(rest.utf8[word.endIndex...].drop(while: isBlank))
        return Substring(word)
    }

    /// The lines that concern a client.
    func lines(for who: Who) -> [Line] { (who.uid.isEmpty ? anonymous : users[ExactText(who.uid)] ?? []) + patterns }
}
