extension SettingType {
    /// What would be right: `a whole number from 0 to 16`.
    var expectation: String {
        switch kind {
        case .text: "a text" + range(" byte", " bytes") + matching
        case .integer: "a whole number" + range()
        case .number: "a number" + range()
        case .boolean: "true or false"
        case .duration: "a duration such as \"30s\" or \"5m\", or a number of seconds" + limits(SettingQuantity.duration)
        case .size: "a size such as \"64KiB\" or \"1MiB\", or a number of bytes" + limits(SettingQuantity.size)
        case .topic: "a topic, without + and #" + matching
        case .filter: "a topic filter such as \"orders/+\"" + matching
        case .path: "a dotted path such as \"card.pin\"; a list's first member is 1"
        case .any: "anything but null"
        case .enumeration(let values): values.count == 1 ? values[0].plain : "one of " + values.map(\.plain).joined(separator: ", ")
        case .list(let element): "a list" + range(" element", " elements") + element.each
        case .map(let value): "names with values" + range(" entry", " entries") + value.each
        case .table(let fields):
            fields.isEmpty ? "a table without fields" : "a table with " + fields.keys.sorted().joined(separator: ", ")
        }
    }

    /// `, each a text`
    private var each: String {
        if case .any = kind { return "" }
        return ", each " + expectation
    }

    private var matching: String { pattern.map { " that matches \($0)" } ?? "" }

    private func limits(_ text: (Double) -> String) -> String {
        let range = range(text: text)
        return range.isEmpty ? "" : ":" + range
    }

    private func range(_ one: String = "", _ many: String = "", text: (Double) -> String = SettingQuantity.number) -> String {
        func unit(_ count: Double) -> String { count == 1 ? one : many }
        switch (minimum, maximum) {
        case (nil, nil): return ""
        case (let least?, let most?): return (many.isEmpty ? " from " : " of ") + "\(text(least)) to \(text(most))\(unit(most))"
        case (let least?, nil): return " of at least \(text(least))\(unit(least))"
        case (nil, let most?): return " of at most \(text(most))\(unit(most))"
        }
    }

    /// What it takes, for a table of settings: `list of path`, `reject, drop or pass`.
    var summary: String {
        let (numbers, times, sizes) = (range(), range(text: SettingQuantity.duration), range(text: SettingQuantity.size))
        switch kind {
        case .text: return "text" + range(" byte", " bytes") + matching
        case .integer, .number: return name + numbers
        case .duration: return name + times
        case .size: return name + sizes
        case .topic, .filter: return name + matching
        case .boolean, .path, .any: return name
        case .enumeration(let values):
            let all = values.map(\.plain)
            return all.count == 1 ? all[0] : all.dropLast().joined(separator: ", ") + " or " + all[all.count - 1]
        case .list(let element): return "list of " + (element.hasFields ? "tables" : element.summary) + counted(" element", " elements")
        case .map(let value): return "map of " + (value.hasFields ? "tables" : value.summary) + counted(" entry", " entries")
        case .table: return "table"
        }
    }

    private func counted(_ one: String, _ many: String) -> String {
        let range = range(one, many)
        return range.isEmpty ? "" : "," + range.dropFirst(3)
    }

    /// Whether settings stand below it that have rows of their own.
    var hasFields: Bool {
        switch kind {
        case .table: true
        case .list(let element): element.hasFields
        case .map(let value): value.hasFields
        default: false
        }
    }
}

extension SettingValue {
    /// A text without quotes.
    var plain: String { if case .string(let value) = self { value } else { text } }
}
