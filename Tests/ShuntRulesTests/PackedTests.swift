import Testing

@testable import ShuntRules

@Suite("MessagePack and CBOR")
struct PackedTests {
    /// The values of a Lua expression, as JSON.
    private func value(_ expression: String) throws -> String {
        try RuleRig.ask("log.info(json.encode(json.array { \(expression) }))").first ?? "nothing"
    }

    @Test(
        "what comes in is read as the formats' documents say",
        arguments: [
            (#"msgpack.decode("\x82\xa1a\xcc\xff\xa1b\x91\xc0")"#, #"[{"a":255,"b":[null]}]"#),
            (#"msgpack.decode("\xe0"), msgpack.decode("\xd1\x80\x00"), msgpack.decode("\xca\x3f\x00\x00\x00")"#, "[-32,-32768,0.5]"),
            (#"msgpack.decode("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")"#, "[18446744073709551615]"),
            (
                #"msgpack.decode("\xd6\xff\x00\x00\x00\x09").time, msgpack.decode("\xd4\x05x").type, msgpack.decode("\xd4\x05x").data"#,
                #"[9.0,5,"x"]"#
            ),
            (#"msgpack.decode("\x81\x01\xa1x")[1], msgpack.decode("\x82\xa1a\x01\xa1a\x02").a"#, #"["x",2]"#),
            (#"cbor.decode("\xa2aa\x18\xffab\x81\xf6")"#, #"[{"a":255,"b":[null]}]"#),
            (#"cbor.decode("\xbf\x61a\x9f\x01\xff\xff"), cbor.decode("\x7f\x61a\x61b\xff"), cbor.decode("\xf7")"#, #"[{"a":[1]},"ab",null]"#),
            (#"cbor.decode("\xc1\x1a\x00\x00\x00\x09"), cbor.decode("\xf9\x3c\x00"), cbor.decode("\xc2\x41\x09")"#, "[9,1.0,9]"),
            (#"cbor.decode("\x3b\xff\xff\xff\xff\xff\xff\xff\xff")"#, "[-18446744073709551616]"),
            (#"cbor.decode("\xc2\x49\x01\x00\x00\x00\x00\x00\x00\x00\x00")"#, "[18446744073709551616]"),
        ])
    func decodes(expression: String, expected: String) throws {
        #expect(try value(expression) == expected)
    }

    @Test(
        "what is wrong is told with its byte",
        arguments: [
            (#"msgpack.decode("")"#, "expected a value at byte 1"), (#"msgpack.decode("\xc1")"#, "the byte 0xC1, which begins no value at byte 1"),
            (#"msgpack.decode("\x01\x01")"#, "more after the value at byte 2"),
            (#"msgpack.decode("\xdd\xff\xff\xff\xff")"#, "the bytes end within a list or a map at byte 6"),
            (#"msgpack.decode("\xdb\xff\xff\xff\xffa")"#, "the bytes end within a value at byte 6"),
            (#"msgpack.decode("\xa1\xff")"#, "a text that is not UTF-8 at byte 3"),
            (#"msgpack.decode("\x81\xc0\x01")"#, "a map's key that is no text, integer or boolean at byte 2"),
            (#"msgpack.decode(("\x91"):rep(1000))"#, "nested too deeply at byte 66"),
            (#"cbor.decode(("\x9f"):rep(1000))"#, "nested too deeply at byte 66"),
            (#"cbor.decode("\x9b" .. ("\xff"):rep(8))"#, "the bytes end within a list or a map at byte 10"),
            (#"cbor.decode("\xff")"#, "an end without its beginning at byte 1"),
            (#"cbor.decode("\xfc")"#, "a first byte that begins no value at byte 1"),
            (#"cbor.decode("\x7f\x41a\xff")"#, "a piece of a text or of bytes that is another value at byte 3"),
        ])
    func refuses(expression: String, why: String) throws {
        #expect(try value("(select(2, \(expression)))") == #"["\#(why)"]"#)
    }

    @Test(
        "what goes out is as short as the formats allow, with sorted keys",
        arguments: [
            (#"msgpack.encode({ b = 1, a = -1, [3] = true })"#, "\\x83\\x03\\xc3\\xa1a\\xff\\xa1b\\x01"), ("msgpack.encode(json.array {})", "\\x90"),
            ("msgpack.encode({})", "\\x80"), ("msgpack.encode(-129)", "\\xd1\\xff\\x7f"), ("msgpack.encode('\\xff')", "\\xc4\\x01\\xff"),
            ("msgpack.encode(msgpack.bytes('a'))", "\\xc4\\x01a"), ("msgpack.encode(msgpack.extension(-3, 'ab'))", "\\xd5\\xfdab"),
            ("msgpack.encode(json.decode('18446744073709551615'))", "\\xcf\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff"),
            ("cbor.encode({ b = 1, a = -1, [3] = true })", "\\xa3\\x03\\xf5\\x61a\\x20\\x61b\\x01"),
            ("cbor.encode(1.5)", "\\xfb\\x3f\\xf8\\0\\0\\0\\0\\0\\0"),
            ("cbor.encode(cbor.bytes('a'))", "\\x41a"), ("cbor.encode({ 1, json.null })", "\\x82\\x01\\xf6"),
            ("cbor.encode(json.decode('-18446744073709551617'))", "\\xc3\\x49\\x01\\0\\0\\0\\0\\0\\0\\0\\0"),
        ])
    func encodes(expression: String, expected: String) throws {
        #expect(try value("\(expression) == \"\(expected)\"") == "[true]")
    }

    @Test("what a format has no place for is an error")
    func encodingErrors() throws {
        for expression in [
            "msgpack.encode(print)", "msgpack.encode({ [1.5] = 1 })", "msgpack.encode(json.decode('18446744073709551616'))",
            "cbor.encode(msgpack.extension(1, ''))", "(function() local t = {} t.t = t return cbor.encode(t) end)()", "msgpack.extension(128, '')",
        ] {
            #expect(try value("(pcall(function() return \(expression) end))") == "[false]", "\(expression)")
        }
    }

    @Test("large maps and lists come back as they were, with more keys than are sorted at once")
    func largeValues() throws {
        let make = "local t = {} for i = 1, 300 do t['key' .. i] = { i, tostring(i), i / 4 } end"
        for format in ["msgpack", "cbor", "json"] {
            let text =
                "(function() \(make) local one = \(format).encode(t) return one == \(format).encode(\(format).decode(one)) and #one > 3000 end)()"
            #expect(try value(text) == "[true]", "\(format)")
        }
    }
}
