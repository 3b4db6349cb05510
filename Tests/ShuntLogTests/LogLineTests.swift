import Foundation
import Logging
import ShuntConfig
import Testing

@testable import ShuntLog

@Suite("Lines of the log")
struct LogLineTests {
    @Test("a line of text has time, level, subsystem, message and metadata in order")
    func text() {
        #expect(
            written(.text(colour: false), .info, "worker joined", ["port": "4091", "address": "127.0.0.1"])
                == "2026-03-01T12:00:00.007Z INFO  worker: worker joined address=127.0.0.1 port=4091\n")
    }

    @Test("only the level is coloured")
    func colour() {
        #expect(
            written(.text(colour: true), .error, "m", ["a": "b"])
                == "2026-03-01T12:00:00.007Z \u{1b}[31mERROR\u{1b}[0m worker: m a=b\n")
    }

    @Test("every level has its name, equally wide", arguments: Logger.Level.allCases)
    func names(level: Logger.Level) throws {
        let sink = CapturedSink()
        let system = makeSystem(.init(level: .trace), sink: sink.write)
        system.logger("shunt.worker").log(level: level, "m")
        try #require(system.flush(within: .seconds(30)))
        #expect(sink.text.hasSuffix(" worker: m\n") && sink.text.utf8.count == 41)
    }

    @Test(
        "values of metadata read as they were meant",
        arguments: [
            ("word", Logger.MetadataValue.string("a-b.c:1"), "word=a-b.c:1"),
            ("empty", Logger.MetadataValue.string(""), "empty=\"\""),
            ("spaces", Logger.MetadataValue.string("a b"), "spaces=\"a b\""),
            ("quotes", Logger.MetadataValue.string("a\"b\\"), "quotes=\"a\\\"b\\\\\""),
            ("equals", Logger.MetadataValue.string("a=b"), "equals=\"a=b\""),
            ("number", Logger.MetadataValue.stringConvertible(5), "number=5"),
            ("list", Logger.MetadataValue.array(["a", "b c", ["d"]]), "list=[a,\"b c\",[d]]"),
            ("mapping", Logger.MetadataValue.dictionary(["y": "1", "x": "2"]), "mapping={x=2,y=1}"),
            ("a key", Logger.MetadataValue.string("1"), "a_key=1"),
        ])
    func values(key: String, value: Logger.MetadataValue, expected: String) {
        #expect(written(.text(colour: false), .info, "m", [key: value]).hasSuffix(" m \(expected)\n"))
    }

    /// What a client sends must not write lines of its own, nor move a terminal's cursor.
    static let injections = [
        "a\nb", "a\r\nb", "\u{1b}[2J", "\u{9b}31m", "a\u{0}b", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}abc", "\u{2066}", "\t",
        "\u{8}",
    ]

    @Test("control characters are written as escapes, in message, key and value", arguments: injections)
    func injection(text: String) {
        let line = written(.text(colour: false), .info, "\(text)", [text: "\(text)", "list": ["\(text)"], "map": [text: "x"]])
        #expect(line.unicodeScalars.filter(\.isUnsafe) == ["\n"])
        let json = written(.json, .info, "\(text)", [text: "\(text)"])
        #expect(json.unicodeScalars.filter(\.isUnsafe) == ["\n"])
    }

    @Test("a line of JSON reads back as it was", arguments: injections + ["plain", "\"\\/", "é🙂", ""])
    func json(text: String) throws {
        let line = written(
            .json, .notice, "\(text)",
            [
                "text": "\(text)", "number": .stringConvertible(-5), "real": .stringConvertible(1.5),
                "flag": .stringConvertible(true),
                "infinite": .stringConvertible(Double.infinity), "list": ["a", ["b": "c"]],
            ])
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary)
        #expect(
            object == [
                "time": "2026-03-01T12:00:00.007Z", "level": "notice", "subsystem": "worker", "message": text,
                "metadata": [
                    "text": text, "number": -5, "real": 1.5, "flag": true, "infinite": "inf", "list": ["a", ["b": "c"]],
                ] as NSDictionary,
            ] as NSDictionary)
    }

    @Test("what is too long, too many or too deep is cut, and JSON stays JSON")
    func bounds() throws {
        var deep = Logger.MetadataValue.string("x")
        for _ in 0..<1000 { deep = [deep] }
        let long = String(repeating: "\u{1}é", count: 100_000)
        let many = Logger.MetadataValue.array(Array(repeating: "x", count: 1000))
        let metadata: Logger.Metadata = ["deep": deep, "long": "\(long)", "many": many]
        for format in [LogFormat.json, .text(colour: false)] {
            let line = written(format, .info, "\(long)", metadata)
            #expect(line.utf8.count < 12_000)
            #expect(line.count { $0 == "\n" } == 1)
            if format == .json { _ = try JSONSerialization.jsonObject(with: Data(line.utf8)) }
        }
        let crowd = Logger.Metadata(uniqueKeysWithValues: (0..<1000).map { ("k\($0)", "v") })
        #expect(written(.json, .info, "m", crowd).utf8.count < 1000)
    }

    @Test(
        "auto is text on a terminal and JSON elsewhere",
        arguments: [
            (Configuration.Log.Format.auto, true, LogFormat.text(colour: true)), (.auto, false, .json),
            (.text, true, .text(colour: true)),
            (.text, false, .text(colour: false)), (.json, true, .json), (.json, false, .json),
        ])
    func format(configured: Configuration.Log.Format, isTerminal: Bool, expected: LogFormat) {
        #expect(LogFormat(configured, isTerminal: isTerminal, colour: isTerminal) == expected)
    }

    @Test("a logger's own metadata and an error are part of the line; the call's goes first")
    func ownMetadata() throws {
        struct Failure: Error, CustomStringConvertible { let description = "it broke" }
        let sink = CapturedSink()
        let system = makeSystem(sink: sink.write)
        var logger = system.logger("shunt.link")
        logger[metadataKey: "a"] = "1"
        logger[metadataKey: "b"] = "1"
        logger.error("m", error: Failure(), metadata: ["b": "2"])
        try #require(system.flush(within: .seconds(30)))
        #expect(sink.text.hasSuffix("ERROR link: m a=1 b=2 error=\"it broke\"\n"))
    }
}
