import Testing

@testable import ShuntAdmin

@Suite struct TextTests {
    @Test(
        "Nothing that a terminal would obey is left in a text",
        arguments: [
            ("plain é 漢", "plain é 漢"), ("a\nb\tc\r\n", "a\\nb\\tc\\r\\n"), ("\u{1B}[2J", "\\u{1B}[2J"),
            ("\u{7F}\u{9B}31m", "\\u{7F}\\u{9B}31m"),
            ("\u{202E}txt.exe", "\\u{202E}txt.exe"), ("\u{0}", "\\u{0}"),
        ])
    func printable(_ text: String, _ expected: String) {
        #expect(Text.printable(text) == expected)
    }

    @Test(
        "Width is in terminal columns",
        arguments: [("", 0), ("abc", 3), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("한", 2), ("👍", 2), ("👨‍👩‍👧", 2), ("…", 1)])
    func width(_ text: String, _ expected: Int) {
        #expect(Text.width(text) == expected)
    }

    @Test(
        "What is cut ends in an ellipsis and fits",
        arguments: [
            ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("abc", 1, "…"), ("abc", 0, ""), ("漢字漢字", 5, "漢字…"),
            ("漢字漢字", 4, "漢…"),
        ])
    func cut(_ text: String, _ width: Int, _ expected: String) {
        #expect(Text.cut(text, to: width) == expected)
        #expect(Text.width(Text.cut(text, to: width)) <= width)
    }
}

@Suite struct HumaneTests {
    @Test(
        "A duration is told in its largest unit",
        arguments: [
            (0.0, "0s"), (-5, "0s"), (3.9, "3s"), (59.9, "59s"), (60, "1m"), (3_599, "59m"), (7_200, "2h"), (86_400 * 9, "9d"),
            (.nan, "0s"),
            (.infinity, "0s"), (1e300, "11574074d"),
        ])
    func duration(_ seconds: Double, _ expected: String) {
        #expect(Humane.duration(seconds) == expected)
    }

    @Test(
        "A size is told in two or three figures",
        arguments: [
            (0, "0 B"), (1_023, "1023 B"), (1_024, "1.0 KiB"), (1_536, "1.5 KiB"), (10_240, "10 KiB"), (1_048_575, "1.0 MiB"),
            (20 << 20, "20 MiB"),
            (.max, "8.0 EiB"), (-1, "-1 B"), (.min, "-9223372036854775808 B"),
        ])
    func bytes(_ count: Int, _ expected: String) {
        #expect(Humane.bytes(count) == expected)
    }

    @Test(
        "A time is told in UTC, whatever the time zone here",
        arguments: [
            (0.0, "1970-01-01T00:00:00Z"), (951_782_400, "2000-02-29T00:00:00Z"), (1_709_164_799.9, "2024-02-28T23:59:59Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"), (-1, "1969-12-31T23:59:59Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"), (-62_167_219_200, "0000-01-01T00:00:00Z"), (1e20, "-"), (.nan, "-"),
        ])
    func time(_ seconds: Double, _ expected: String) {
        #expect(Humane.time(seconds) == expected)
    }
}

@Suite struct CSVTests {
    @Test("Fields are quoted where RFC 4180 wants it, lines end in CRLF")
    func quotes() {
        var csv = CSV(header: ["a", "b"])
        csv.append(["plain", "with,comma"])
        csv.append(["say \"hi\"", "two\r\nlines\n"])
        csv.append(["", " é "])
        csv.append(["-5", "-2.5e-3"])
        csv.append(["=1+1", "+1"])
        csv.append(["@SUM(A1)", "-1+cmd|' /C calc'!A0"])
        csv.append(["\t=1", "\r=1"])
        csv.append(["-", "a=1"])
        csv.append(["＝1", "＋1＝2"])
        csv.append([CSV.list(["a b"]), CSV.list(["a", "b"])])
        #expect(
            csv.text == "a,b\r\nplain,\"with,comma\"\r\n\"say \"\"hi\"\"\",\"two\r\nlines\n\"\r\n, é \r\n"
                + "-5,-2.5e-3\r\n'=1+1,'+1\r\n'@SUM(A1),'-1+cmd|' /C calc'!A0\r\n'\t=1,\"'\r=1\"\r\n'-,a=1\r\n'＝1,'＋1＝2\r\n"
                + "\"[\"\"a b\"\"]\",\"[\"\"a\"\",\"\"b\"\"]\"\r\n")
    }
}
