/// One thing in detail: a line for each field, its name before it.
enum FieldList {
    /// No line is longer than `width`, unless it is nil.
    static func text(_ fields: [(name: String, value: String)], width: Int?) -> String {
        let names = fields.map { Text.printable($0.name) }
        let widest = names.reduce(0) { max($0, Text.width($1)) }
        return zip(names, fields).map { name, field in
            let line = Text.pad(name, to: widest) + "  " + Text.printable(field.value)
            return (width.map { Text.cut(line, to: $0) } ?? line) + "\n"
        }.joined()
    }
}
