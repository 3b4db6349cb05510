import ShuntCore

/// A client that may get messages of a rehearsal.
public struct RehearsedSubscriber: Equatable, Sendable {
    public var uid = ""
    public var device: String?
    public var tags: [String] = []
    public var alias: [String] = []
    /// A topic or a topic filter; nil for a device that has subscribed nothing.
    public var topic: String?
    /// nil: a group of its own.
    public var group: String?
    public var key: String?
    /// Where it was read.
    public var place: String

    /// The most subscribers of a file.
    public static let most = 10_000
    private static let members = ["topic", "group", "uid", "key", "device", "tags", "alias"]

    /// Reads a file with a subscriber a line: `TOPIC [GROUP [UID]]`, or a JSON object. `//` and a blank begin a comment.
    /// - Throws: `usage` with the line that is wrong.
    public static func list(_ text: [UInt8], at path: String) throws(ShuntError) -> [RehearsedSubscriber] {
        var found: [RehearsedSubscriber] = []
        for (line, place) in MessageDescription.lines(of: text, path) where !isComment(line) {
            guard found.count < most else { throw ShuntError(.usage, "more than \(most) subscribers", at: place) }
            found.append(try RehearsedSubscriber(line, at: place))
        }
        return found
    }

    private static func isComment(_ line: [UInt8]) -> Bool {
        let text = line.drop { $0 == 0x20 || $0 == 0x09 }
        return text.starts(with: "//".utf8) && [nil, 0x20, 0x09, 0x0D].contains(text.dropFirst(2).first)
    }

    private init(_ line: [UInt8], at place: String) throws(ShuntError) {
        self.place = place
        guard let first = line.first(where: { $0 != 0x20 && $0 != 0x09 }), first == UInt8(ascii: "{") else {
            let words = String(decoding: line, as: UTF8.self).split { $0 == " " || $0 == "\t" || $0 == "\r" }.map(String.init)
            guard words.count <= 3 else {
                throw ShuntError(.usage, "a subscriber of \(words.count) words", at: place, help: "TOPIC [GROUP [UID]], or a JSON object")
            }
            guard words[0] != "#" || words.count == 1 else {
                throw ShuntError(
                    .usage, "a comment, or one who has subscribed everything?", at: place,
                    help: ##"comments begin with // and a blank; a subscriber with # is {"topic":"#","group":"audit"}"##)
            }
            topic = words[0]
            if words.count > 1 { group = words[1] }
            if words.count > 2 { uid = words[2] }
            return
        }
        guard case .object(let members) = try JSONTree(parsing: line, at: place, isLine: true) else { return }
        for member in members { try take(member) }
        if topic == nil, device == nil { device = uid }
        guard topic != nil || !uid.isEmpty else {
            throw ShuntError(.usage, "a subscriber without topic and without uid", at: place, help: #"as in {"topic":"orders/#","uid":"bob"}"#)
        }
    }

    private mutating func take(_ member: JSONTree.Member) throws(ShuntError) {
        switch (member.name, member.value) {
        case ("topic", .string(let text)): topic = text
        case ("group", .string(let text)): group = text
        case ("uid", .string(let text)): uid = text
        case ("key", .string(let text)): key = text
        case ("device", .string(let text)): device = text
        case ("tags", .array(let values)) where values.allSatisfy({ $0.string != nil }): tags = values.compactMap(\.string)
        case ("alias", .array(let values)) where values.allSatisfy({ $0.string != nil }): alias = values.compactMap(\.string)
        case (let name, _) where Self.members.contains(name):
            throw ShuntError(.usage, "\(name) of a subscriber is \(["tags", "alias"].contains(name) ? "a list of texts" : "a text")", at: place)
        default:
            let near = Suggestion.closest(to: member.name, in: Self.members).map { "did you mean \($0)? " } ?? ""
            throw ShuntError(
                .usage, "a subscriber has no \(member.name)", at: place, help: near + "it has \(Self.members.joined(separator: ", "))")
        }
    }
}
