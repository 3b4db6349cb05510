import ShuntCore
import ShuntRules

/// A part of a message that differs: `topic`, `payload.items[2].sku`.
public struct MessageChange: Equatable, Sendable {
    public var field: String
    /// nil: there is none.
    public var before: JSONTree?
    public var after: JSONTree?

    /// The most changes of one message that are told.
    static let most = 100

    /// What differs between two messages, JSON by its members.
    public static func all(from before: ObservedMessage, to after: ObservedMessage) -> [MessageChange] {
        var changes = changes(before.fields, after.fields)
        changes += payload("payload", before.payload, after.payload)
        if before.kind == .broadcast || after.kind == .broadcast { changes += payload("filter", before.filter, after.filter) }
        return Array(changes.prefix(most))
    }

    private static func changes(_ before: [(String, JSONTree)], _ after: [(String, JSONTree)]) -> [MessageChange] {
        var found: [MessageChange] = []
        for (name, value) in before {
            let new = after.first { $0.0 == name }?.1
            if new != value { found += differences(name, value, new) }
        }
        let format = before.first { $0.0 == "format" }?.1
        for (name, value) in after where !before.contains(where: { $0.0 == name }) && !isImplied(name, value, by: format) {
            found.append(.init(field: name, before: nil, after: value))
        }
        return found
    }

    /// Whether a message of this format counts as having the property, as those of the exchange protocol do.
    private static func isImplied(_ name: String, _ value: JSONTree, by format: JSONTree?) -> Bool {
        switch name {
        case "content_type": value == .string(format == .string("json") ? "application/json" : "text/plain")
        case "payload_format": value == .number("1") && format != .string("none")
        default: false
        }
    }

    private static func payload(_ name: String, _ before: [UInt8], _ after: [UInt8]) -> [MessageChange] {
        guard before != after else { return [] }
        if let old = JSONTree(before), let new = JSONTree(after), old.isContainer, new.isContainer {
            let found = differences(name, old, new)
            // The same values in other bytes: blanks, the order of members.
            return found.isEmpty ? [] : found
        }
        return [.init(field: name, before: .payload(before), after: .payload(after))]
    }

    static func differences(_ path: String, _ before: JSONTree, _ after: JSONTree?) -> [MessageChange] {
        guard let after else { return [.init(field: path, before: before, after: nil)] }
        switch (before, after) {
        case (.object(let old), .object(let new)):
            let names = old.map(\.name) + new.map(\.name).filter { name in !old.contains { $0.name == name } }
            return names.flatMap { name in differences(path + member(name), before[name], after[name]) }
        case (.array(let old), .array(let new)):
            return (0..<max(old.count, new.count)).flatMap { index in
                differences(
                    "\(path)[\(index + 1)]", index < old.count ? old[index] : nil, index < new.count ? new[index] : nil)
            }
        case (.number(let old), .number(let new)) where isSame(old, new): return []
        default: return before == after ? [] : [.init(field: path, before: before, after: after)]
        }
    }

    private static func differences(_ path: String, _ before: JSONTree?, _ after: JSONTree?) -> [MessageChange] {
        if let before { return differences(path, before, after) }
        return after.map { [.init(field: path, before: nil, after: $0)] } ?? []
    }

    /// `100` and `1E2` are one number, as far as a double tells them.
    private static func isSame(_ old: String, _ new: String) -> Bool {
        if old == new { return true }
        if Int64(old) != nil, Int64(new) != nil { return false }
        guard let old = Double(old), let new = Double(new) else { return false }
        return old == new
    }

    private static func member(_ name: String) -> String {
        let isPlain = !name.isEmpty && name.utf8.allSatisfy { $0 == 0x5F || (0x30...0x39).contains($0) || (0x61...0x7A).contains($0 | 0x20) }
        return isPlain ? ".\(name)" : "[\(JSONTree.quoted(name))]"
    }
}

extension JSONTree {
    var isContainer: Bool {
        switch self {
        case .array, .object: true
        default: false
        }
    }

    /// A text, or the base64 of bytes that are none.
    static func payload(_ bytes: [UInt8]) -> JSONTree {
        String(validating: bytes, as: UTF8.self).map(JSONTree.string)
            ?? .object([Member(name: "base64", value: .string(Base64Text.of(bytes)))])
    }

    init(_ value: SettingValue) {
        self =
            switch value {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .number("\(value)")
            case .double(let value): .number("\(value)")
            case .string(let text): .string(text)
            case .array(let values): .array(values.map { JSONTree($0) })
            case .object(let values): .object(values.sorted { $0.key < $1.key }.map { Member(name: $0.key, value: JSONTree($0.value)) })
            }
    }
}

/// Base64 (RFC 4648 §4).
enum Base64Text {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func of(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << UInt32(8 * (3 - group.count))
            for place in 0..<4 {
                text.append(place > group.count ? UInt8(ascii: "=") : letters[Int(bits >> UInt32(18 - 6 * place) & 63)])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil where the text is not base64.
    static func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
        guard text.utf8.count % 4 == 0, text.utf8.count - digits.count <= 2 else { return nil }
        for letter in digits {
            guard let value = letters.firstIndex(of: letter) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bytes
    }
}

extension ObservedMessage {
    /// All of it by name, except for payload and filter.
    var fields: [(String, JSONTree)] {
        var fields: [(String, JSONTree)] = [("kind", .string("\(kind)"))]
        if kind != .broadcast { fields.append(("topic", .payload(topic))) }
        if let key { fields.append(("key", .payload(key))) }
        fields += [("format", .string("\(format)")), ("qos", .number("\(qos.rawValue)")), ("retain", .bool(isRetained))]
        if let delay { fields.append(("delay", .number(ReportStyle.seconds(delay)))) }
        return fields + properties.sorted { $0.key < $1.key }.map { ($0.key, JSONTree($0.value)) }
    }

    /// As JSON output has it.
    var tree: JSONTree {
        var members = fields.map { JSONTree.Member(name: $0.0, value: $0.1) }
        if kind == .broadcast { members.append(.init(name: "filter", value: JSONTree(filter) ?? .payload(filter))) }
        if let text = String(validating: payload, as: UTF8.self) {
            members.append(.init(name: "payload", value: .string(text)))
        } else {
            members.append(.init(name: "payload_base64", value: .string(Base64Text.of(payload))))
        }
        return .object(members)
    }
}
