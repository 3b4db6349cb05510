import ShuntCore

/// Numbers as operators write and read them: `5`, `1K`, `1.5M`.
public enum Quantity {
    /// - Returns: nil unless the text is a whole number, perhaps with `K` or `M` behind it.
    public static func parse(_ text: some StringProtocol) -> Int? {
        let unit = ["K": 1_000, "M": 1_000_000][text.suffix(1).uppercased()]
        let digits = unit == nil ? text[...] : text.dropLast()
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        let isNumber =
            parts.count <= (unit == nil ? 1 : 2)
            && parts.allSatisfy { part in
                (1...9).contains(part.utf8.count) && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            }
        guard isNumber, let whole = Double(digits) else { return nil }
        let number = (whole * Double(unit ?? 1) * 1000).rounded() / 1000
        return number == number.rounded() && number <= 1e12 ? Int(number) : nil
    }

    /// The shortest form that says the whole number: `1K` for 1,000, `1500` for 1,500.
    public static func text(_ number: Int) -> String {
        for (unit, name) in [(1_000_000, "M"), (1_000, "K")] where number >= unit && number % unit == 0 { return "\(number / unit)\(name)" }
        return String(number)
    }

    /// With commas: 23,800.
    public static func grouped(_ number: Int) -> String {
        var digits = Array(String(number.magnitude))
        for place in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: place) }
        return (number < 0 ? "-" : "") + String(digits)
    }

    /// `10 s`, `0.3 s`: as few digits as say it.
    public static func seconds(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? "\(grouped(Int(seconds))) s" : "\(seconds) s"
    }

    /// Three significant digits of a time, in the unit that suits it: `412 µs`, `1.32 ms`, `2.10 s`.
    public static func time(microseconds: Double) -> String {
        for (unit, name) in [(1e6, "s"), (1e3, "ms")] where microseconds >= unit * 0.9995 {
            return "\(significant(microseconds / unit)) \(name)"
        }
        return "\(significant(microseconds)) µs"
    }

    /// Three significant digits: `1.32`, `41.2`, `412`, `0.05`.
    public static func significant(_ number: Double) -> String {
        let decimals = number.magnitude < 9.995 ? 2 : number.magnitude < 99.95 ? 1 : 0
        let scale = [1.0, 10, 100][decimals]
        let scaled = Int((number * scale).rounded())
        guard decimals > 0 else { return grouped(scaled) }
        let fraction = String(scaled.magnitude % UInt(scale))
        return (scaled < 0 ? "-" : "") + "\(scaled.magnitude / UInt(scale))." + String(repeating: "0", count: decimals - fraction.count) + fraction
    }
}
