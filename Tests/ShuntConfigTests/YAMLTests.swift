import ShuntCore
import Testing

@testable import ShuntConfig

@Suite("What YAML says")
struct YAMLTests {
    private func setting(_ yaml: String) throws -> ConfigValue? {
        try load(yaml).rules.settings["x"]
    }

    @Test(
        "a block scalar at the end of the file has its own bytes and no more",
        arguments: [
            ("|\n    closed\n", "closed\n"), ("|\n    closed", "closed"), ("|-\n    closed\n", "closed"), ("|+\n    a\n\n\n", "a\n\n\n"),
            (">\n    a\n    b\n", "a b\n"), (">+\n    a\n\n", "a\n\n"), ("|\n    a\n\n\n", "a\n"), ("'x'", "x"), ("x", "x"),
        ])
    func blockScalar(text: String, value: String) throws {
        #expect(try setting("rules:\n  settings:\n   x: \(text)") == .string(value))
    }

    @Test("a byte order mark at the start changes nothing")
    func byteOrderMark() throws {
        #expect(try load("\u{FEFF}limits: { hops: 3 }").limits.hops == 3)
        #expect(errors("\u{FEFF}limits:\n  hups: 3").map(\.location) == ["test.yaml:2:3"])
    }

    @Test(
        "tags are honoured",
        arguments: [
            ("!!str 5", ConfigValue.string("5")), ("! 5", .string("5")), ("!!int '5'", .int(5)), ("!!float 5", .double(5)),
            ("!!bool 'true'", .bool(true)), ("!!null ''", .null), ("!!seq [1]", .array([.int(1)])), ("!!map {a: 1}", .object(["a": .int(1)])),
            ("!<tag:yaml.org,2002:str> 5", .string("5")), ("!!str ''", .string("")),
        ])
    func tags(text: String, value: ConfigValue) throws {
        #expect(try setting("rules: {settings: {x: \(text)}}") == value)
    }

    @Test(
        "tags that say something else than the value, or nothing that JSON has, are refused with their place",
        arguments: [
            ("!!int five", ErrorCode.configType), ("!!bool 1", .configType), ("!!seq {a: 1}", .configType), ("!!map [1]", .configType),
            ("!!binary aGk=", .configInvalid), ("!env NAME", .configInvalid), ("!!set {a}", .configInvalid), ("!x [1]", .configInvalid),
        ])
    func wrongTags(text: String, code: ErrorCode) {
        let errors = errors("rules:\n  settings:\n    x: \(text)")
        #expect(errors.map(\.code) == [code], "\(errors)")
        #expect(errors.first?.location?.hasPrefix("test.yaml:3:") == true, "\(errors)")
    }

    @Test("<< merges mappings: what the mapping says itself goes first, then the earlier of a list")
    func merge() throws {
        let yaml = """
            rules:
              settings:
                a: &a { one: 1, two: 1 }
                b: &b { two: 2, three: 2 }
                x: { <<: [*a, *b], one: 0 }
                y: { <<: *a }
                z: { "<<": 1 }
            """
        let settings = try load(yaml).rules.settings
        #expect(settings["x"] == .object(["one": .int(0), "two": .int(1), "three": .int(2)]))
        #expect(settings["y"] == .object(["one": .int(1), "two": .int(1)]))
        #expect(settings["z"] == .object(["<<": .int(1)]))
    }

    @Test("<< with what is no mapping is refused", arguments: ["1", "[1]", "[{}, 1]", ""])
    func wrongMerge(text: String) {
        let errors = errors("rules:\n  settings:\n    x:\n      <<: \(text)")
        #expect(errors.map(\.code) == [.configType], "\(errors)")
    }
}
