import ShuntCore

/// What `t`'s functions take. A key that they do not know, or a value of another type, is an error in the test.
enum TestField {
    /// `text` is UTF-8. `bytes` may be any bytes.
    case text, bytes, topic, number, flag, texts, client, members, candidates, will, properties, namedTexts
    case whole(ClosedRange<Int64>)
    case oneOf([String])

    static let clientFields: [String: TestField] = [
        "uid": .text, "device": .text, "tags": .texts, "alias": .texts, "address": .text, "groups": .texts, "protocol": .text,
        "client_id": .text, "version": .oneOf(["3.1", "3.1.1", "5.0"]), "keep_alive": .whole(0...65_535), "will": .will, "props": .properties,
        "auth_method": .text, "attributes": .namedTexts, "id": .whole(0...Int64.max), "connected_at": .number,
    ]
    static let messageFields: [String: TestField] = [
        "payload": .bytes, "key": .bytes, "format": .oneOf(PayloadFormat.allCases.map { "\($0)" }), "sender": .client,
        "hops": .whole(0...255), "id": .whole(.min ... .max), "qos": .whole(0...2), "retain": .flag, "props": .properties, "content_type": .text,
        "response_topic": .text, "correlation_data": .bytes, "expiry": .whole(0...4_294_967_294), "payload_format": .whole(0...1),
    ]
    static let chatFields: [String: TestField] = ["id": .text, "members": .members, "created_at": .number]
    static let subscriptionFields: [String: TestField] = ["topic": .text, "group": .text, "key": .text, "sender": .client, "qos": .whole(0...2)]
    private static let willFields: [String: TestField] = [
        "topic": .topic, "payload": .bytes, "qos": .whole(0...2), "retain": .flag, "delay": .whole(0...4_294_967_295), "props": .properties,
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
                var help = Self.advice(instead: key, "it takes", known.keys.sorted())
                if known["sender"] != nil, ofSender.contains(key) { help = "the sender has it: sender.\(key)" }
                throw ShuntError(.ruleInvalid, "\(name) does not take \(key)", help: help)
            }
            if let wanted = try field.problem(with: value, "\(name): \(key)") {
                throw ShuntError(.ruleInvalid, "\(name): \(key) is \(field.shown(value))", help: wanted)
            }
        }
        return fields
    }

    /// What a client has, and a message has not.
    private static let ofSender: Set<String> = ["uid", "device", "tags", "alias", "address", "client_id", "protocol"]

    /// The name that may be meant, and all that there are.
    static func advice(instead name: String, _ what: String, _ known: [String]) -> String {
        let near = Suggestion.closest(to: name, in: known) ?? known.first { name.hasPrefix($0) || name.count > 2 && $0.hasPrefix(name) }
        return (near.map { "did you mean \($0)? " } ?? "") + what + " " + known.joined(separator: ", ")
    }

    /// A wrong value, as it is where only some of its type are wanted.
    private func shown(_ value: LuaValue) -> String {
        switch (self, value) {
        case (_, .bytes): "no UTF-8"
        case (.whole, .int(let number)): "\(number)"
        case (.whole, .double(let number)): "\(number)"
        case (.oneOf, .string(let text)): "\"\(text)\""
        default: "a \(value.typeName)"
        }
    }

    /// What is wanted instead of a value; nil where it will do.
    private func problem(with value: LuaValue, _ name: String) throws(ShuntError) -> String? {
        switch self {
        case .bytes: return value.bytes == nil ? "a text is wanted" : nil
        case .text: return value.string == nil ? "a text is wanted" : nil
        case .topic:
            guard let topic = value.string else { return "a text is wanted" }
            guard let problem = MessageTopic.problem(topic) else { return nil }
            throw ShuntError(.ruleInvalid, "\(name): \(problem.what)", help: problem.help)
        case .namedTexts:
            let isMap = value.list?.isEmpty == true || value.table?.values.allSatisfy { $0.string != nil } == true
            return isMap ? nil : "texts by their names are wanted"
        case .number: return value.number == nil ? "a number is wanted" : nil
        case .flag: if case .bool = value { return nil } else { return "true or false is wanted" }
        case .texts: return value.list?.allSatisfy { $0.string != nil } == true ? nil : "a list of texts is wanted"
        case .client:
            _ = try Self.check(value, of: name, Self.clientFields)
            return nil
        case .will:
            _ = try Self.check(value, of: name, Self.willFields)
            return nil
        case .properties:
            let isList = value.list?.allSatisfy { $0["name"].string != nil && $0["value"].string != nil } ?? false
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
