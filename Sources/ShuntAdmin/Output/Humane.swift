/// Numbers as people read them.
enum Humane {
    /// `3s`, `5m`, `2h`, `9d`: in the largest unit that is not longer than the age.
    static func duration(_ seconds: Double) -> String {
        let units: [(Double, String)] = [(86_400, "d"), (3_600, "h"), (60, "m")]
        guard seconds.isFinite, seconds > 0 else { return "0s" }
        // Far beyond any age, and safe to make an Int of.
        let seconds = min(seconds, 1e12)
        for (size, unit) in units where seconds >= size { return "\(Int(seconds / size))\(unit)" }
        return "\(Int(seconds))s"
    }

    /// `1 client`, `2 clients`.
    static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    static func age(of time: Double, now: Double) -> String {
        duration(now - time) + " ago"
    }

    /// `999 B`, `1.5 KiB`, `20 MiB`.
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1_023.95, unit < units.count - 1 {
            value /= 1_024
            unit += 1
        }
        guard unit > 0, value < 9.95 else { return "\(Int(value.rounded())) \(units[unit])" }
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }

    /// `0.2`, `12`: below ten with a tenth.
    static func rate(_ perSecond: Double) -> String {
        guard perSecond.isFinite, perSecond > 0 else { return "0" }
        guard perSecond < 9.95 else { return "\(Int(min(perSecond, 1e15).rounded()))" }
        let tenths = Int((perSecond * 10).rounded())
        // Less than a tenth is not nothing.
        return tenths == 0 ? "<0.1" : "\(tenths / 10).\(tenths % 10)"
    }

    /// `2026-11-23T14:30:05Z`, of seconds since 1970.
    static func time(_ seconds: Double) -> String {
        // The years 0 to 9999.
        guard seconds.isFinite, (-62_167_219_200...253_402_300_799).contains(seconds) else { return "-" }
        let whole = Int(seconds.rounded(.down))
        let days = Int((Double(whole) / 86_400).rounded(.down))
        let rest = whole - days * 86_400
        let (year, month, day) = date(daysSince1970: days)
        return "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))T"
            + "\(digits(rest / 3_600, 2)):\(digits(rest / 60 % 60, 2)):\(digits(rest % 60, 2))Z"
    }

    /// The Gregorian date, counting in years that begin in March, so that the leap day comes last.
    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let daysIn400Years = 146_097
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - daysIn400Years + 1) / daysIn400Years
        let dayOfEra = shifted - era * daysIn400Years
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
