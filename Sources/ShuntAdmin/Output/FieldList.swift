/// One thing in detail: a line for each field, its name before it.
enum FieldList {
    /// No line is longer than `width`, unless it is nil: values go on below themselves.
    static func text(_ fields: [(name: String, value: String)], width: Int?) -> String {
        let names = fields.map { Text.printable($0.name) }
        let widest = names.reduce(0) { max($0, Text.width($1)) }
        return zip(names, fields).map { name, field in
            let head = Text.pad(name, to: widest) + "  "
            return hanging(head, Text.printable(field.value), width: width)
        }.joined()
    }

    /// A text after its head; a text that has no room beside it goes on in lines below.
    static func hanging(_ head: String, _ text: String, width: Int?) -> String {
        guard let width, Text.width(head) + Text.width(text) > width else { return head + text + "\n" }
        let indent = Text.width(head)
        // Too narrow a column would be a letter a line.
        guard width - indent >= 16 else {
            let lines = Text.wrap(head, to: width) + Text.wrap(text, to: max(width - 2, 1)).map { width > 2 ? "  " + $0 : $0 }
            return lines.map { $0 + "\n" }.joined()
        }
        let lines = Text.wrap(text, to: width - indent)
        return lines.enumerated().map { number, line in
            (number == 0 ? head : String(repeating: " ", count: indent)) + line + "\n"
        }.joined()
    }
}
