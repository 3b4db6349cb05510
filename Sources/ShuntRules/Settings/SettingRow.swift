/// A setting in a table of a rule's settings.
struct SettingRow: Equatable {
    /// `redactions[].remove`; `.*` stands for the names of a map.
    var name: String
    var type: SettingType

    /// `required`, or what the rule gets where it is left out.
    var fallback: String {
        shownFallback?.plain ?? (type.isRequired ? "required" : "none")
    }

    /// What the rule gets where it is left out, without its secrets; nil where that is nothing.
    var shownFallback: SettingValue? { type.fallback.map { type.hidingSecrets(in: $0.written) } }

    var takes: String { type.summary + (type.isAllSecret ? ", secret" : "") }
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
        let type = type.hidden(hidden)
        return [SettingRow(name: name, type: type)] + below(type, name)
    }

    private static func below(_ type: SettingType, _ name: String) -> [SettingRow] {
        switch type.kind {
        case .table(let fields): rows(of: fields, below: name + ".", hidden: type.isSecret)
        case .list(let element) where element.hasFields: below(element.hidden(type.isSecret), name + "[]")
        case .map(let value) where value.hasFields: below(value.hidden(type.isSecret), name + ".*")
        default: []
        }
    }

    /// The table of a plugin's page, in Markdown.
    var page: String {
        guard !fields.isEmpty else { return "It has no settings.\n" }
        func cell(_ text: String) -> String { text.replacing("|", with: "\\|").replacing("\n", with: " ") }
        let lines = rows.map { row in
            let fallback = row.type.fallback != nil && !row.type.isAllSecret ? "`\(row.fallback)`" : row.fallback
            return "| `\(row.name)` | \(cell(row.takes)) | \(cell(fallback)) | \(cell(row.type.doc)) |\n"
        }
        return "| setting | takes | default | meaning |\n|---|---|---|---|\n" + lines.joined()
    }
}

extension SettingType {
    /// Whether all that is given for it is secret.
    var isAllSecret: Bool {
        switch kind {
        case _ where isSecret: true
        case .list(let element), .map(let element): element.isAllSecret
        default: false
        }
    }

    /// The same type, which is secret if what it stands in is.
    fileprivate func hidden(_ isHidden: Bool) -> SettingType {
        var type = self
        type.isSecret = isSecret || isHidden
        return type
    }

    /// A value of this type as it may be shown.
    func hidingSecrets(in value: SettingValue) -> SettingValue {
        if isAllSecret { return .string(SecretTexts.hidden) }
        return switch (kind, value) {
        case (.table(let fields), .object(let values)):
            .object(Dictionary(uniqueKeysWithValues: values.map { ($0, fields[$0]?.hidingSecrets(in: $1) ?? $1) }))
        case (.list(let element), .array(let values)): .array(values.map(element.hidingSecrets))
        case (.map(let element), .object(let values)): .object(values.mapValues(element.hidingSecrets))
        default: value
        }
    }
}
