import GRDBSQLite

// Unsafe: SQLite hands back, uncounted, the object that was given to it, which outlives the statement.

/// SQL functions where one call can take long. They stand in the place of SQLite's own, look at their arguments and at the
/// time, then have SQLite's own work on a connection without tables.
///
/// SQLite looks at interrupts between two of its instructions, and a call of a function is one instruction.
final class GuardedFunctions {
    /// What a field of `printf` is padded or rounded to at most; SQLite would count to 2,147,483,647.
    static let widestField = 1_000
    /// Characters that `trim` takes off at most: each of the text is compared with each of them.
    static let mostTrimmed = 200

    /// Name, and how many arguments it takes; -1 for any number.
    static let all: [(name: String, arguments: Int32)] = [
        ("printf", -1), ("format", -1), ("instr", 2), ("replace", 3), ("trim", 2), ("ltrim", 2), ("rtrim", 2),
    ]

    private let queryGuard: QueryGuard
    private var calculator: OpaquePointer?
    /// By name and number of arguments.
    private var statements: [String: OpaquePointer] = [:]
    /// What SQLite hands back with each call.
    private var registrations: [Registration] = []

    private final class Registration {
        let name: String
        unowned let functions: GuardedFunctions

        init(_ name: String, _ functions: GuardedFunctions) {
            self.name = name
            self.functions = functions
        }
    }

    init(_ queryGuard: QueryGuard) {
        self.queryGuard = queryGuard
    }

    deinit {
        for statement in statements.values { sqlite3_finalize(statement) }
        sqlite3_close(calculator)
    }

    /// This must outlive the connection.
    func replace(on connection: OpaquePointer) {
        for (name, arguments) in Self.all {
            let registration = Registration(name, self)
            registrations.append(registration)
            sqlite3_create_function_v2(
                connection, name, arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
                Unmanaged.passUnretained(registration).toOpaque(),
                { context, count, values in
                    guard let context, let data = sqlite3_user_data(context) else { return }
                    let registration = Unmanaged<Registration>.fromOpaque(data).takeUnretainedValue()
                    let values = UnsafeBufferPointer(start: values, count: Int(count))
                    registration.functions.call(registration.name, Array(values), context)
                }, nil, nil, nil)
        }
    }

    private func call(_ name: String, _ values: [OpaquePointer?], _ context: OpaquePointer) {
        guard queryGuard.mayGoOn else { return sqlite3_result_error(context, "interrupted", -1) }
        if let reason = Self.refusal(name, values) {
            queryGuard.refuse(costly: reason)
            return sqlite3_result_error(context, reason, -1)
        }
        guard let statement = statement(name, values.count) else { return sqlite3_result_error_nomem(context) }
        for (index, value) in values.enumerated() { sqlite3_bind_value(statement, Int32(index + 1), value) }
        if sqlite3_step(statement) == SQLITE_ROW {
            sqlite3_result_value(context, sqlite3_column_value(statement, 0))
        } else {
            sqlite3_result_error(context, sqlite3_errmsg(calculator), -1)
        }
        sqlite3_reset(statement)
        sqlite3_clear_bindings(statement)
    }

    private func statement(_ name: String, _ count: Int) -> OpaquePointer? {
        let sql = "SELECT \(name)(" + Array(repeating: "?", count: count).joined(separator: ",") + ")"
        if let statement = statements[sql] { return statement }
        if calculator == nil {
            guard sqlite3_open_v2(":memory:", &calculator, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nil) == SQLITE_OK else { return nil }
            sqlite3_limit(calculator, SQLITE_LIMIT_LENGTH, Int32(ReadOnlyQuery.maximumValueLength))
        }
        var statement: OpaquePointer?
        guard sqlite3_prepare_v2(calculator, sql, -1, &statement, nil) == SQLITE_OK else { return nil }
        statements[sql] = statement
        return statement
    }

    private static func refusal(_ name: String, _ values: [OpaquePointer?]) -> String? {
        switch name {
        case "printf", "format":
            guard let format = values.first, let text = sqlite3_value_text(format) else { return nil }
            let bytes = UnsafeBufferPointer(start: text, count: Int(sqlite3_value_bytes(format)))
            return isBounded(bytes) ? nil : "\(name)() takes widths and precisions up to \(widestField), written as digits"
        case "trim", "ltrim", "rtrim":
            guard values.count == 2, sqlite3_value_bytes(values[1]) > mostTrimmed else { return nil }
            return "\(name)() takes at most \(mostTrimmed) bytes of characters to take off"
        default: return nil
        }
    }

    /// Whether all fields of a format have a width and precision that are told, and not too large.
    static func isBounded(_ format: some Sequence<UInt8>) -> Bool {
        var isField = false
        var number = 0
        for byte in format {
            guard isField else {
                (isField, number) = (byte == UInt8(ascii: "%"), 0)
                continue
            }
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                number = number * 10 + Int(byte - UInt8(ascii: "0"))
                if number > widestField { return false }
            case UInt8(ascii: "*"): return false
            case UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: " "), UInt8(ascii: "#"), UInt8(ascii: "!"), UInt8(ascii: ","),
                UInt8(ascii: "."), UInt8(ascii: "l"):
                number = 0
            default: isField = false
            }
        }
        return true
    }
}
