import PayloadCompression
import ShuntCore
import ShuntRules

/// Messages as a command's options or a line of a file describe them.
public enum MessageDescription {
    /// The most messages of a file, and bytes of it.
    public static let mostMessages = 100_000
    public static let mostBytes = 256 << 20

    /// - Parameters:
    ///   - tree: an object as `t:message` takes a table. A payload that is no string is sent as JSON; `props` may be an object.
    ///   - payload: takes the place of the object's.
    ///   - place: where it was read, for errors.
    /// - Throws: `usage` where it is wrong.
    public static func message(_ tree: JSONTree, payload: [UInt8]? = nil, at place: String) throws(ShuntError) -> RehearsedMessage {
        guard case .object(let members) = tree else { throw ShuntError(.usage, "a message is a JSON object", at: place, help: example) }
        var fields: [String: SettingValue] = [:]
        try checkNames(members, at: place)
        var payload = payload
        var compression = PayloadCompression.none
        for member in members {
            switch (member.name, member.value) {
            case ("payload", let value): if payload == nil { payload = Array((value.string ?? value.text).utf8) }
            case ("payload_base64", let value):
                guard let bytes = value.string.flatMap(Base64Text.bytes) else {
                    throw ShuntError(.usage, "payload_base64 is not base64 (RFC 4648 §4)", at: place)
                }
                if payload == nil { payload = bytes }
            case ("compression", let value): compression = try Self.compression(value, at: place)
            case ("props", let value), ("sender", let value), ("filter", let value):
                fields[member.name] = adapted(member.name, value)
            case (let name, let value): fields[name] = value.setting
            }
        }
        let bytes = try unpacked(payload ?? [], compression, at: place)
        if fields["format"] == nil, fields["content_type"] == nil {
            // What a client of MQTT sends to a chat is a text without a content type.
            let untold: SettingValue = fields["kind"] == "chat" ? "text" : "none"
            fields["format"] = RehearsedMessage.isOfMQTT(fields) ? untold : isDocument(bytes) ? "json" : "text"
        }
        do throws(ShuntError) {
            let message = try RehearsedMessage(.object(fields), payload: bytes)
            guard message.kind != .topic || fields["topic"] != nil else { throw ShuntError(.usage, "the message has no topic", help: example) }
            guard message.kind != .chat || fields["topic"] != nil else {
                throw ShuntError(.usage, "the message has no chat", help: "the topic is the chat's id")
            }
            guard message.kind != .broadcast || String(validating: bytes, as: UTF8.self) != nil else {
                throw ShuntError(.usage, "the text of a broadcast is UTF-8")
            }
            return message
        } catch {
            throw ShuntError(error.code, error.message, at: place, help: error.help)
        }
    }

    private static func compression(_ value: JSONTree, at place: String) throws(ShuntError) -> PayloadCompression {
        let all = PayloadCompression.allCases
        guard let found = all.first(where: { "\($0)" == value.string }) else {
            throw ShuntError(
                .usage, "compression is \(value.text)", at: place, help: "one of \(all.map { "\($0)" }.joined(separator: ", ")) is wanted")
        }
        return found
    }

    /// A payload as rules read it, who are given none that is compressed.
    private static func unpacked(_ bytes: [UInt8], _ compression: PayloadCompression, at place: String) throws(ShuntError) -> [UInt8] {
        guard compression != .none else { return bytes }
        let result: Result<[UInt8], ShuntError> = bytes.withUnsafeBytes { packed in
            do throws(ShuntError) { return .success(try inflate(packed, compression, limit: mostUnpacked)) } catch { return .failure(error) }
        }
        do throws(ShuntError) {
            return try result.get()
        } catch {
            throw ShuntError(
                .usage, "the payload cannot be unpacked as \(compression): \(error.message)", at: place,
                help: "a worker's rule that reads it fails; leave the message out")
        }
    }

    /// Bytes, as limits.inflated has them where nothing is configured.
    private static let mostUnpacked = 16 << 20

    /// Of two members that say the same thing one would be lost.
    private static func checkNames(_ members: [JSONTree.Member], at place: String) throws(ShuntError) {
        var names: Set<String> = []
        for member in members where !names.insert(member.name).inserted {
            throw ShuntError(.usage, "\(member.name) stands there twice", at: place, help: "an object has each name once")
        }
        guard !names.isSuperset(of: ["payload", "payload_base64"]) else {
            throw ShuntError(.usage, "payload and payload_base64 exclude each other", at: place)
        }
        for case .object(let sender) in members.lazy.filter({ $0.name == "sender" }).map(\.value) { try checkNames(sender, at: place) }
    }

    private static let example = #"as in {"topic":"orders/1","payload":{"id":1},"sender":{"uid":"ada"}}"#

    private static func adapted(_ name: String, _ value: JSONTree) -> SettingValue {
        switch (name, value) {
        case ("filter", .object): .string(value.text)
        case ("props", .object(let members)):
            .array(members.map { .object(["name": .string($0.name), "value": $0.value.setting]) })
        case ("sender", .object(let members)):
            .object(Dictionary(members.map { ($0.name, $0.name == "props" ? adapted("props", $0.value) : $0.value.setting) }) { _, last in last })
        default: value.setting
        }
    }

    /// Whether bytes are a JSON object or array.
    private static func isDocument(_ bytes: [UInt8]) -> Bool {
        switch JSONTree(bytes) {
        case .object, .array: true
        default: false
        }
    }

    /// The messages of a file, one a line; empty lines are skipped.
    /// - Throws: `usage` with the line of the first one that is wrong, and where there is none.
    public static func messages(_ text: [UInt8], at path: String) throws(ShuntError) -> [RehearsedMessage] {
        var messages: [RehearsedMessage] = []
        for (line, place) in lines(of: text, path) {
            guard messages.count < mostMessages else {
                throw ShuntError(.usage, "more than \(mostMessages) messages", at: place, help: "run them in parts")
            }
            messages.append(try message(JSONTree(parsing: line, at: place, isLine: true), at: place))
        }
        guard !messages.isEmpty else { throw ShuntError(.usage, "there is no message", at: path, help: "one a line, \(example)") }
        return messages
    }

    /// The lines that are not empty, with their places.
    static func lines(of text: [UInt8], _ path: String) -> [([UInt8], place: String)] {
        JSONTree.withoutMark(text).split(separator: 0x0A, omittingEmptySubsequences: false).enumerated().compactMap { index, line in
            line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } ? nil : (Array(line), "\(path):\(index + 1)")
        }
    }
}
