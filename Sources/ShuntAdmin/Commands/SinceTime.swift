import ArgumentParser

/// A time that an operator gives: so long ago, or a date and time of day in UTC.
struct SinceTime: Equatable {
    private enum Form: Equatable {
        case ago(seconds: Double)
        /// Seconds since 1970.
        case at(Double)
    }

    private let form: Form

    init(parsing text: String) throws {
        if let seconds = Self.ago(text) {
            form = .ago(seconds: seconds)
        } else if let time = Self.date(text) {
            form = .at(time)
        } else {
            throw ValidationError("'\(text)' is no time: give 90s, 15m, 2h or 7d, or a time in UTC such as 2026-11-29T14:00:00Z.")
        }
    }

    /// Seconds since 1970.
    func seconds(now: Double) -> Double {
        switch form {
        case .ago(let seconds): max(0, now - seconds)
        case .at(let time): time
        }
    }

    private static func ago(_ text: String) -> Double? {
        let units: [Character: Double] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let last = text.last, let unit = units[last], text.utf8.count <= 10, let number = number(text.dropLast()) else { return nil }
        return Double(number) * unit
    }

    /// `YYYY-MM-DDTHH:MM:SSZ`, where the seconds, the time of day and the Z may be left out.
    private static func date(_ text: String) -> Double? {
        var rest = Substring(text)
        if rest.last == "Z" { rest = rest.dropLast() }
        let parts = rest.split(separator: "T", omittingEmptySubsequences: false)
        let days = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count <= 2, days.count == 3, days[0].utf8.count == 4, let year = number(days[0]), let month = number(days[1]),
            let day = number(days[2]), year >= 1970, (1...12).contains(month), (1...length(of: month, in: year)).contains(day)
        else { return nil }
        let clock = parts.count == 2 ? parts[1].split(separator: ":", omittingEmptySubsequences: false).map(number) : [0, 0, 0]
        guard (2...3).contains(clock.count), let hour = clock[0], let minute = clock[1], let second = clock.count == 3 ? clock[2] : 0,
            hour < 24, minute < 60, second < 60
        else { return nil }
        // Years that begin in March, so that a leap day comes last.
        let shifted = month > 2 ? (year, month - 3) : (year - 1, month + 9)
        let before = shifted.0 * 365 + shifted.0 / 4 - shifted.0 / 100 + shifted.0 / 400 + (shifted.1 * 153 + 2) / 5 + day - 1 - 719_468
        return Double(before * 86_400 + hour * 3_600 + minute * 60 + second)
    }

    private static func length(of month: Int, in year: Int) -> Int {
        guard month == 2 else { return [4, 6, 9, 11].contains(month) ? 30 : 31 }
        return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    }

    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 9, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int(text)
    }
}
