import ShuntCore
import Testing

@Suite("Text of others on a terminal") struct PrintableTextTests {
    @Test(
        "Nothing that a terminal would obey, or that deceives, is left",
        arguments: [
            ("plain é 漢", "plain é 漢"), ("a\nb\tc\r\n", "a\\nb\\tc\\r\\n"), ("\u{1B}[2J", "\\u{1B}[2J"), ("\u{0}", "\\u{0}"),
            ("\u{7F}\u{9B}31m", "\\u{7F}\\u{9B}31m"), ("\u{202E}txt.exe", "\\u{202E}txt.exe"), ("a\u{61C}b", "a\\u{61C}b"),
            ("a\u{2028}b\u{2029}", "a\\u{2028}b\\u{2029}"), ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("pay\u{200B}pal", "pay\\u{200B}pal"), ("pay\u{200D}pal", "pay\\u{200D}pal"), ("\u{FEFF}x\u{AD}", "\\u{FEFF}x\\u{AD}"),
            ("\u{E0041}", "\\u{E0041}"), ("a\u{3164}", "a\\u{3164}"),
            // A family, a Persian word with a non-joiner.
            ("👨‍👩‍👧", "👨‍👩‍👧"), ("می‌خواهم", "می‌خواهم"), ("", ""),
        ])
    func printable(_ text: String, _ expected: String) {
        #expect(PrintableText.of(text) == expected)
    }

    @Test("Lines stay where they are asked for, and nothing else does")
    func lines() {
        #expect(PrintableText.of("a\n\tb\r\u{1B}", keepingLines: true) == "a\n\tb\\r\\u{1B}")
    }

    @Test("Within JSON the text stays the same text")
    func json() {
        #expect(PrintableText.json("{\n \"a\":\"é\u{202E}\u{9B}\u{E0041}\"}") == "{\n \"a\":\"é\\u202e\\u009b\\udb40\\udc41\"}")
        #expect(PrintableText.json("{\"a\":1}") == "{\"a\":1}")
    }
}
