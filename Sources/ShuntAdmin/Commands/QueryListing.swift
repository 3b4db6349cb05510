import ShuntRegistry

/// A query's rows as a table and as CSV.
enum QueryListing {
    static func table(_ result: QueryResult) -> Table {
        Table(
            columns: result.columns.enumerated().map { index, title in
                Table.Column(
                    title: Text.printable(title),
                    isNumber: !result.rows.isEmpty && result.rows.allSatisfy { isNumber(value($0, index)) })
            },
            rows: result.rows.map { row in
                result.columns.indices.map { index in
                    let value = value(row, index)
                    return Table.Cell(text(value) ?? "NULL", value == .null ? .faint : .plain)
                }
            })
    }

    /// NULL is an empty field.
    static func csv(_ result: QueryResult) -> CSV {
        var csv = CSV(header: result.columns)
        for row in result.rows { csv.append(row.map { text($0) ?? "" }) }
        return csv
    }

    /// A row that came over the wire may have too few columns.
    private static func value(_ row: [QueryValue], _ index: Int) -> QueryValue {
        index < row.count ? row[index] : .null
    }

    private static func isNumber(_ value: QueryValue) -> Bool {
        switch value {
        case .integer, .real, .null: true
        case .text, .blob: false
        }
    }

    /// nil for NULL. Bytes as SQLite writes them: x'00FF'.
    private static func text(_ value: QueryValue) -> String? {
        switch value {
        case .null: return nil
        case .integer(let number): return "\(number)"
        case .real(let number): return "\(number)"
        case .text(let text): return text
        case .blob(let bytes):
            let digits = Array("0123456789ABCDEF".utf8)
            return "x'" + String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self) + "'"
        }
    }
}
