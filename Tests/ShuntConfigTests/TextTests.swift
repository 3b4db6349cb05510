import Testing

@testable import ShuntConfig

@Suite("Durations, sizes and YAML as text")
struct TextTests {
    @Test(
        "a duration is read and written in its largest unit",
        arguments: [
            ("500us", Duration.microseconds(500), "500us"), ("1000us", .milliseconds(1), "1ms"),
            ("200 ms", .milliseconds(200), "200ms"),
            ("90s", .seconds(90), "90s"), ("60s", .seconds(60), "1m"), ("120m", .seconds(7200), "2h"), ("0s", .zero, "0s"),
        ])
    func duration(text: String, value: Duration, written: String) throws {
        #expect(try DurationText.read(text) == value)
        #expect(DurationText.write(value) == written)
    }

    @Test("what is no duration is refused", arguments: ["", "1", "s", "-1s", "1.5s", "1d", "1S", "1s1", " 1s", "٣s"])
    func noDuration(text: String) {
        #expect(throws: ScalarFault.type) { try DurationText.read(text) }
    }

    @Test("numbers that no integer holds are out of range", arguments: ["99999999999999999999s", "9223372036854775807h"])
    func hugeDuration(text: String) {
        #expect(throws: ScalarFault.range) { try DurationText.read(text) }
    }

    @Test(
        "a size is read and written in its largest unit",
        arguments: [
            ("0", 0, "0"), ("512", 512, "512"), ("512B", 512, "512"), ("1024", 1024, "1KiB"), ("64 KiB", 65536, "64KiB"),
            ("1024MiB", 1 << 30, "1GiB"), ("1025", 1025, "1025"),
        ])
    func size(text: String, value: Int, written: String) throws {
        #expect(try SizeText.read(text) == value)
        #expect(SizeText.write(value) == written)
    }

    @Test("what is no size is refused", arguments: ["", "KiB", "1KB", "1k", "1.5MiB", "-1", "1 GiB x"])
    func noSize(text: String) {
        #expect(throws: ScalarFault.type) { try SizeText.read(text) }
    }

    @Test(
        "a plain scalar is what YAML 1.2's core schema says",
        arguments: [
            ("", ConfigValue.null), ("~", .null), ("null", .null), ("true", .bool(true)), ("FALSE", .bool(false)),
            ("yes", .string("yes")),
            ("12", .int(12)), ("-12", .int(-12)), ("+1", .int(1)), ("0o17", .int(15)), ("0xff", .int(255)), ("1.5", .double(1.5)),
            ("-1e3", .double(-1000)), (".5", .double(0.5)), ("5.", .double(5)), ("1.2.3", .string("1.2.3")),
            ("1e", .string("1e")), (".", .string(".")),
            ("-", .string("-")), ("2024-01-01", .string("2024-01-01")), ("inf", .string("inf")), ("nan", .string("nan")),
            ("0x", .string("0x")), ("0x1p3", .string("0x1p3")), ("12:30", .string("12:30")),
        ])
    func plain(text: String, value: ConfigValue) {
        #expect(ConfigValue(plain: text) == value)
    }

    @Test(
        "numbers that JSON cannot say are none",
        arguments: [".inf", "-.INF", ".nan", "99999999999999999999", "1e999", "0xffffffffffffffff"])
    func noNumber(text: String) {
        #expect(ConfigValue(plain: text) == nil)
    }

    @Test(
        "a text reads back as it was, whatever it looks like",
        arguments: [
            "", " ", "a", "a b", "a: b", "a #b", "true", "null", "1", "1.5", "0x1", "-", "- a", "[a]", "{a}", "\"", "\\", "'",
            "\n", "\t", "\u{1}",
            "\u{7f}", "é", "🙂", "a:", ":a", "@a", "`a", "%a", "&a", "*a", "!a", "|", ">", ",", "a,b", "/a", "127.0.0.1:80",
            "[::1]:80", "~", "?", "=",
        ])
    func quoting(text: String) throws {
        let value = ConfigValue.object(["k": .array([.string(text), .object([text: .string(text)])])])
        let configuration = try Configuration.parse("rules: { settings: { p: \(value.text) } }")
        #expect(configuration.rules.settings["p"] == value)
    }
}
