import Foundation
import Testing

@testable import ShuntLog

@Suite("Times of the log")
struct UTCTimeTests {
    private func text(_ seconds: Int, _ milliseconds: Int = 0) -> String {
        var bytes: [UInt8] = []
        UTCTime(seconds: seconds, milliseconds: milliseconds).write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(
        "moments that calendars get wrong",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.000Z"), (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"), (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_709_164_800, "2024-02-29T00:00:00.000Z"), (1_740_787_200, "2025-03-01T00:00:00.000Z"),
            (1_735_689_599, "2024-12-31T23:59:59.000Z"), (2_147_483_648, "2038-01-19T03:14:08.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"), (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ])
    func known(seconds: Int, expected: String) {
        #expect(text(seconds) == expected)
    }

    @Test("milliseconds have three digits", arguments: [(0, "000"), (7, "007"), (70, "070"), (999, "999")])
    func milliseconds(milliseconds: Int, digits: String) {
        #expect(text(0, milliseconds) == "1970-01-01T00:00:00.\(digits)Z")
    }

    @Test("every day of five centuries is the calendar's")
    func everyDay() throws {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = try #require(TimeZone(identifier: "UTC"))
        var expected = DateComponents(year: 1800, month: 1, day: 1)
        let start = Int(try #require(calendar.date(from: expected)).timeIntervalSince1970)
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        for day in 0..<182_621 {
            guard let year = expected.year, let month = expected.month, let dayOfMonth = expected.day else { break }
            let written = text(start + day * 86400).utf8.prefix(10)
            let two = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
            try #require(written.elementsEqual("\(year)-\(two(month))-\(two(dayOfMonth))".utf8))
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let length = lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)
            if dayOfMonth < length {
                expected.day = dayOfMonth + 1
            } else {
                expected = DateComponents(year: month == 12 ? year + 1 : year, month: month % 12 + 1, day: 1)
            }
        }
        #expect(expected.year == 2300)
    }

    @Test("now is the system's time")
    func now() {
        let difference = Date().timeIntervalSince1970 - Double(UTCTime.now.seconds)
        #expect((-1...2).contains(difference))
    }
}
