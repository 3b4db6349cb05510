import ShuntCore

/// What `t`'s functions take. A key that they do not know, or a value of another type, is an error in the test.
enum TestField {
    case text, number, flag, texts, client, members, candidates, will, properties, any
    case whole(ClosedRange<Int64>)
    case oneOf([String])

    static let clientFields: [String: TestField] = [
        "uid": .text, "device": .text, "tags": .texts, "alias": .texts, "address": .text, "groups": .texts, "protocol": .text,
        "client_id": .text, "version": .oneOf(["3.1", "3.1.1", "5.0"]), "keep_alive": .whole(0...65_535), "will": .will, "props": .properties,
        "auth_method": .text,
    ]
    static let messageFields: [String: TestField] = [
        "payload": .text, "key": .text, "format": .oneOf(PayloadFormat.allCases.map { "\($0)" }), "sender": .client,
        "hops": .whole(0...255), "id": .whole(.min ... .max), "qos": .whole(0...2), "retain": .flag, "props": .properties, "content_type": .text,
        "response_topic": .text, "correlation_data": .text, "expiry": .whole(0...4_294_967_294), "payload_format": .whole(0...1),
    ]
    static let chatFields: [String: TestField] = ["id": .text, "members": .members, "created_at": .number]
    static let subscriptionFields: [String: TestField] = ["topic": .text, "group": .text, "key": .text, "sender": .client, "qos": .whole(0...2)]
    private static let willFields: [String: TestField] = [
        "topic": .text, "payload": .text, "qos": .whole(0...2), "retain": .flag, "delay": .whole(0...4_294_967_295), "props": .properties,
    ]
    static let sessionFields: [String: TestField] = [
        "event": .oneOf(SessionEvent.allCases.map(\.rawValue)), "client_id": .text, "uid": .text, "version": .oneOf(["3.1", "3.1.1", "5.0"]),
        "expiry": .whole(0...4_294_967_295), "connected": .flag, "subscriptions": .whole(0...4_294_967_295), "waiting": .whole(0...4_294_967_295),
        "inflight": .whole(0...65_535),
    ]
    private static let candidateFields: [String: TestField] = [
        "uid": .text, "delivered": .whole(0...Int64.max - 1), "congested": .flag, "absent": .flag,
    ]
    static let foundFields: [String: TestField] = [
        "uid": .text, "device": .text, "client_id": .text, "protocol": .oneOf(["exchange", "mqtt"]), "address": .text, "loop": .whole(0...255),
        "id": .whole(0...Int64.max), "connected": .flag, "connected_at": .number, "tags": .texts, "alias": .texts,
    ]
    private static let memberFields: [String: TestField] = ["uid": .text, "online": .flag]

    /// The table that was given to a function, with no keys but these.
    static func check(_ asked: LuaValue, of name: String, _ known: [String: TestField]) throws(ShuntError) -> [String: LuaValue] {
        guard let fields = asked.table else { throw ShuntError(.ruleInvalid, "\(name) takes a table, not a \(asked.typeName)") }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            guard let field = known[key] else {
                throw ShuntError(
                    .ruleInvalid, "\(name) does not take \(key)", help: "it takes " + known.keys.sorted().joined(separator: ", "))
            }
            if let wanted = try field.problem(with: value, "\(name): \(key)") {
                throw ShuntError(.ruleInvalid, "\(name): \(key) is a \(value.typeName)", help: wanted)
            }
        }
        return fields
    }

    /// What is wanted instead of a value; nil where it will do.
    private func problem(with value: LuaValue, _ name: String) throws(ShuntError) -> String? {
        switch self {
        case .any: return nil
        case .text: return value.bytes == nil ? "a text is wanted" : nil
        case .number: return value.number == nil ? "a number is wanted" : nil
        case .flag: if case .bool = value { return nil } else { return "true or false is wanted" }
        case .texts: return value.list?.allSatisfy { $0.bytes != nil } == true ? nil : "a list of texts is wanted"
        case .client:
            _ = try Self.check(value, of: name, Self.clientFields)
            return nil
        case .will:
            _ = try Self.check(value, of: name, Self.willFields)
            return nil
        case .properties:
            let isList = value.list?.allSatisfy { $0["name"].bytes != nil && $0["value"].bytes != nil } ?? false
            return isList ? nil : "a list of { name = \"a\", value = \"b\" } is wanted"
        case .members:
            guard let members = value.list else { return "a list of members is wanted" }
            for member in members {
                guard try Self.check(member, of: name, Self.memberFields)["uid"] != nil else {
                    throw ShuntError(.ruleInvalid, "a member without uid", help: "members = { { uid = \"ann\", online = true } }")
                }
            }
            return nil
        case .candidates:
            guard let members = value.list else { return "a list of members is wanted" }
            for member in members { _ = try Self.check(member, of: name, Self.candidateFields) }
            return nil
        case .whole(let range):
            if case .int(let number) = value, range.contains(number) { return nil }
            return range.upperBound == .max ? "a whole number is wanted" : "a whole number from \(range.lowerBound) to \(range.upperBound) is wanted"
        case .oneOf(let words): return value.string.map(words.contains) == true ? nil : "one of \(words.joined(separator: ", ")) is wanted"
        }
    }
}
