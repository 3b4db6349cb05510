/// A setting in a table of a rule's settings.
struct SettingRow: Equatable {
    /// `redactions[].remove`; `.*` stands for the names of a map.
    var name: String
    var type: SettingType

    /// `required`, or what the rule gets where it is left out.
    var fallback: String {
        if let fallback = type.fallback { return type.isSecret ? SecretTexts.hidden : fallback.written.plain }
        return type.isRequired ? "required" : "none"
    }

    var takes: String { type.summary + (type.isSecret ? ", secret" : "") }
}

extension SettingsSchema {
    /// All settings, each before those in it: what must be given first, then by name.
    var rows: [SettingRow] { Self.rows(of: fields, below: "", hidden: false) }

    private static func rows(of fields: [String: SettingType], below: String, hidden: Bool) -> [SettingRow] {
        let sorted = fields.sorted { a, b in
            a.value.isRequired == b.value.isRequired ? a.key < b.key : a.value.isRequired
        }
        return sorted.flatMap { field in rows(of: field.value, named: below + field.key, hidden: hidden) }
    }

    private static func rows(of type: SettingType, named name: String, hidden: Bool) -> [SettingRow] {
        var type = type
        type.isSecret = type.isSecret || hidden
        return [SettingRow(name: name, type: type)] + below(type, name)
    }

    private static func below(_ type: SettingType, _ name: String) -> [SettingRow] {
        switch type.kind {
        case .table(let fields): rows(of: fields, below: name + ".", hidden: type.isSecret)
        case .list(let element) where element.hasFields: below(element, name + "[]")
        case .map(let value) where value.hasFields: below(value, name + ".*")
        default: []
        }
    }

    /// The table of a plugin's page, in Markdown.
    var page: String {
        guard !fields.isEmpty else { return "It has no settings.\n" }
        func cell(_ text: String) -> String { text.replacing("|", with: "\\|").replacing("\n", with: " ") }
        let lines = rows.map { row in
            let fallback = row.type.fallback != nil && !row.type.isSecret ? "`\(row.fallback)`" : row.fallback
            return "| `\(row.name)` | \(cell(row.takes)) | \(cell(fallback)) | \(cell(row.type.doc)) |\n"
        }
        return "| setting | takes | default | meaning |\n|---|---|---|---|\n" + lines.joined()
    }
}
