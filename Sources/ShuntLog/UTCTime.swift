import Glibc

/// A time in UTC, to the millisecond.
struct UTCTime: Equatable, Sendable {
    /// Since 1970, without leap seconds; may be negative.
    var seconds: Int
    /// 0 to 999.
    var milliseconds: Int

    static var now: UTCTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UTCTime(seconds: time.tv_sec, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// `2026-03-01T12:00:00.000Z` (RFC 3339).
    func write(to bytes: inout [UInt8]) {
        let day = Self.floorDivide(seconds, by: 86400)
        let second = seconds - day * 86400
        let date = Self.date(ofDay: day)
        Self.write(date.year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.write(date.month, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.write(date.day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Self.write(second / 3600, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.write(second / 60 % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.write(second % 60, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.write(milliseconds, digits: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// The date so many days after 1970-01-01.
    ///
    /// Counts from 1 March of the year 0, so that a leap day is the last of its year: 400 years are 146,097 days, and in the
    /// five months from March, or from August, are 153.
    private static func date(ofDay day: Int) -> (year: Int, month: Int, day: Int) {
        let days = day + 719_468
        let era = floorDivide(days, by: 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    private static func floorDivide(_ number: Int, by divisor: Int) -> Int {
        number >= 0 ? number / divisor : (number + 1) / divisor - 1
    }

    private static func write(_ number: Int, digits: Int, to bytes: inout [UInt8]) {
        var scale = 1
        for _ in 1..<digits { scale *= 10 }
        while scale > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(number / scale % 10))
            scale /= 10
        }
    }
}
