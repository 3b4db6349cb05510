/// Durations as people write them: `500us`, `200ms`, `20s`, `5m`, `1h`.
enum DurationText {
    private static let units: [(name: String, microseconds: Int64)] = [
        ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1),
    ]

    static func read(_ text: String) throws(ScalarFault) -> Duration {
        let (number, unit) = try Quantity.split(text)
        guard let scale = units.first(where: { $0.name == unit })?.microseconds else { throw .type }
        let (microseconds, overflow) = number.multipliedReportingOverflow(by: scale)
        guard !overflow else { throw .range }
        return .microseconds(microseconds)
    }

    /// The text in the largest unit that leaves a whole number; fractions of a microsecond are left out.
    static func write(_ duration: Duration) -> String {
        let parts = duration.components
        let microseconds = parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000
        guard let unit = units.first(where: { microseconds % $0.microseconds == 0 }), microseconds != 0 else {
            return "0s"
        }
        return "\(microseconds / unit.microseconds)\(unit.name)"
    }
}

/// Sizes in bytes: `512`, `64KiB`, `10MiB`, `1GiB`.
enum SizeText {
    private static let units: [(name: String, bytes: Int64)] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]

    static func read(_ text: String) throws(ScalarFault) -> Int {
        let (number, unit) = try Quantity.split(text)
        guard let scale = unit.isEmpty || unit == "B" ? 1 : units.first(where: { $0.name == unit })?.bytes else { throw .type }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: scale)
        guard !overflow else { throw .range }
        return Int(bytes)
    }

    /// In the largest unit that leaves a whole number.
    static func write(_ bytes: Int) -> String {
        guard let unit = units.first(where: { Int64(bytes) % $0.bytes == 0 }), bytes != 0 else { return "\(bytes)" }
        return "\(Int64(bytes) / unit.bytes)\(unit.name)"
    }
}

private enum Quantity {
    /// `20s`, `20 s`: a whole number and its unit.
    static func split(_ text: String) throws(ScalarFault) -> (number: Int64, unit: String) {
        let digits = text.prefix { $0.isASCII && $0.isWholeNumber }
        guard !digits.isEmpty else { throw .type }
        guard let number = Int64(digits) else { throw .range }
        return (number, String(text.dropFirst(digits.count).drop { $0 == " " }))
    }
}
