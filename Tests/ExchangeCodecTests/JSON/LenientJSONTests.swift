import ShuntCore
import Testing

@testable import ExchangeCodec

@Suite("The JSON dialect, §8")
struct LenientJSONTests {
    private func parse(_ text: String) throws -> LenientObject { try parse(Array(text.utf8)) }

    private func parse(_ bytes: [UInt8]) throws -> LenientObject {
        try bytes.withUnsafeBytes { try LenientJSON.object(in: $0, subject: "test") }
    }

    struct Accepted: Sendable, CustomTestStringConvertible {
        var text: String
        var strings: [String: String]
        var testDescription: String { text }

        init(_ text: String, _ strings: [String: String]) {
            self.text = text
            self.strings = strings
        }
    }

    @Test(
        "Every form that message-channel's servers read is read",
        arguments: [
            Accepted(#"{"a":"b"}"#, ["a": "b"]),
            Accepted("{a:'b'}", ["a": "b"]),
            Accepted(#"{'a':"b"}"#, ["a": "b"]),
            Accepted(#"{"a":'b'}"#, ["a": "b"]),
            Accepted("{}", [:]),
            Accepted(" \t\r\n{ \n a\t:\r'b' } \n", ["a": "b"]),
            Accepted("{a:'1',,,b:'2'}", ["a": "1", "b": "2"]),
            Accepted("{,a:'1',}", ["a": "1"]),
            Accepted("{/* one */a/**/:/***/'1'/* two */,// three\nb:'2'}// four", ["a": "1", "b": "2"]),
            Accepted("{a:5,b:-1.5e3,c:true,d:false}", ["a": "5", "b": "-1.5e3", "c": "true", "d": "false"]),
            Accepted("{a:null}", [:]),
            Accepted("{$a_1:'x',_:'y',1:'z',größe:'w'}", ["$a_1": "x", "_": "y", "1": "z", "größe": "w"]),
            Accepted(#"{"a b":"'","c":'"'}"#, ["a b": "'", "c": "\""]),
            Accepted(#"{a:"\b\t\n\f\r\v\"\'\\\/\0\7"}"#, ["a": "\u{8}\t\n\u{C}\r\u{B}\"'\\/\u{0}\u{7}"]),
            Accepted(#"{a:"\u4f60\u00E9\x41\xe9"}"#, ["a": "你éAé"]),
            Accepted(#"{a:"\ud83d\ude00"}"#, ["a": "😀"]),
            Accepted(#"{a:"\ud83d!",b:"\ude00",c:"\ud83d\u0041"}"#, ["a": "\u{FFFD}!", "b": "\u{FFFD}", "c": "\u{FFFD}A"]),
            Accepted(#"{"\u0061":"x"}"#, ["a": "x"]),
            Accepted("{a:'line\nbreak'}", ["a": "line\nbreak"]),
            Accepted("{a:'1',a:'2'}", ["a": "2"]),
            Accepted("\u{FEFF}{a:'b'}", ["a": "b"]),
            Accepted("{a:''}", ["a": ""]),
        ])
    func accepts(_ accepted: Accepted) throws {
        let object = try parse(accepted.text)
        for (key, text) in accepted.strings { #expect(try object.string(key) == text) }
        let keys = try object.members.compactMap { try object.string($0.key) == nil ? nil : $0.key }
        #expect(Set(keys) == Set(accepted.strings.keys))
    }

    struct Refused: Sendable, CustomTestStringConvertible {
        var text: String
        var byte: Int
        var testDescription: String { text }

        init(_ text: String, _ byte: Int) {
            self.text = text
            self.byte = byte
        }
    }

    @Test(
        "What message-channel's servers refuse is refused, with the place",
        arguments: [
            Refused("", 0), Refused("  ", 2), Refused("[]", 0), Refused("'a'", 0), Refused("5", 0), Refused("null", 0),
            Refused("{", 1), Refused("{a", 2), Refused("{a:", 3), Refused("{a:'b", 5), Refused("{a:'b'", 6),
            Refused("{a:'b',", 7), Refused("{a:b}", 3), Refused("{a:nul}", 3), Refused("{a:True}", 3), Refused("{a 'b'}", 3),
            Refused("{a:'1' b:'2'}", 7), Refused("{a:['1' '2']}", 8), Refused("{a:[1}", 5), Refused("{a:}", 3),
            Refused("{:'b'}", 1), Refused("{a:'b'}x", 7), Refused("{a:'b'}{}", 7), Refused("{a:-}", 3), Refused("{a:1e}", 3),
            Refused("{a:.5}", 3), Refused("{a:12x}", 3), Refused(#"{a:'\q'}"#, 5), Refused(#"{a:'\u12'}"#, 8),
            Refused(#"{a:'\xg0'}"#, 6), Refused(#"{a:'\"#, 5), Refused("{/* a:'b'}", 1), Refused("{/a:'b'}", 1),
            Refused("{a:'b'}/*", 7), Refused("{a:\"b'}", 7),
        ])
    func refuses(_ refused: Refused) {
        let error = #expect(throws: ShuntError.self) { try parse(refused.text) }
        #expect(error?.code == .requestInvalid)
        #expect(error?.location == "test, byte \(refused.byte)")
    }

    @Test("A text that is cut at any byte is refused")
    func truncation() throws {
        let whole = Array(#"{a:"x\u4f60",'b':[1,{c:null}],d:-1.5e3,/* e */"f":true}"#.utf8)
        _ = try parse(whole)
        for length in 0..<whole.count {
            #expect(throws: ShuntError.self) { try parse(Array(whole.prefix(length))) }
        }
    }

    @Test("Known keys are found in any letter case; camel case is another key")
    func letterCase() throws {
        let object = try parse("{MATCH_TAGS:'1',Uid:'2',createdTime:5}")
        #expect(try object.string("match_tags") == "1")
        #expect(try object.string("uid") == "2")
        #expect(try object.integer("created_time") == nil)
        #expect(try object.string("matchTags") == nil)
    }

    @Test(
        "Integers come from numbers, decimals and strings",
        arguments: [
            ("5", 5), ("-7", -7), ("'4091'", 4091), ("1.9", 1), ("-1.9", -1), ("1e3", 1000), ("'1548000000000'", 1_548_000_000_000),
            ("9223372036854775807", Int64.max), ("''", nil), ("'null'", nil), ("null", nil), ("007", 7),
        ] as [(String, Int64?)])
    func integers(_ text: String, _ integer: Int64?) throws {
        #expect(try parse("{a:\(text)}").integer("a") == integer)
    }

    @Test(
        "What is no 64-bit integer is refused",
        arguments: [
            "'x'", "true", "[]", "{}", "9223372036854775808", "1e19", "1e999", "'nan'", "'inf'",
        ])
    func noIntegers(_ text: String) {
        #expect(throws: ShuntError.self) { try parse("{a:\(text)}").integer("a") }
    }

    @Test("Ports are 0 to 65535")
    func ports() throws {
        #expect(try parse("{a:65535}").port("a") == 65_535)
        #expect(throws: ShuntError.self) { try parse("{a:65536}").port("a") }
        #expect(throws: ShuntError.self) { try parse("{a:-1}").port("a") }
    }

    @Test("String arrays take numbers and booleans, and leave null out; nothing else is one")
    func stringArrays() throws {
        #expect(try parse("{a:['x',1,null,true,,\"y\"]}").strings("a") == ["x", "1", "true", "y"])
        #expect(try parse("{a:[]}").strings("a") == [])
        #expect(try parse("{a:null}").strings("a") == nil)
        for text in ["'x'", "5", "{}", "[[]]", "[{}]"] {
            #expect(throws: ShuntError.self) { try parse("{a:\(text)}").strings("a") }
        }
    }

    @Test("Bytes that are not UTF-8 are repaired")
    func repairsUTF8() throws {
        #expect(try parse([0x7B, 0x61, 0x3A, 0x27, 0xFF, 0x27, 0x7D]).string("a") == "\u{FFFD}")
    }

    @Test("Nesting is taken to its limit and refused beyond")
    func depth() throws {
        func nested(_ depth: Int) -> String {
            "{a:" + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1) + "}"
        }
        _ = try parse(nested(LenientJSON.maximumDepth))
        #expect(throws: ShuntError.self) { try parse(nested(LenientJSON.maximumDepth + 1)) }
        #expect(throws: ShuntError.self) { try parse(nested(1_000_000)) }
        #expect(throws: ShuntError.self) { try parse(String(repeating: "{a:", count: 1_000_000)) }
    }

    @Test("A text holds at most so many values")
    func valueCount() throws {
        func array(_ count: Int) -> String { "{a:[" + String(repeating: "1,", count: count) + "]}" }
        #expect(try parse(array(LenientJSON.maximumValues - 1)).strings("a")?.count == LenientJSON.maximumValues - 1)
        #expect(throws: ShuntError.self) { try parse(array(LenientJSON.maximumValues)) }
    }
}
