import ShuntCore
import Yams

/// A tag of a value (`!!str`): honoured if JSON has such values, refused otherwise.
enum YAMLTag {
    private static let standard = "tag:yaml.org,2002:"

    /// A scalar, read as its tag says.
    static func content(of scalar: Node.Scalar, at location: String) throws(ShuntError) -> ConfigNode.Content {
        let text = scalar.string
        let value = ConfigValue(plain: text)
        switch (name(of: scalar.tag), value) {
        case ("", _): return .scalar(text, plain: scalar.style == .plain || scalar.style == .any)
        case ("!", _), ("str", _): return .scalar(text, plain: false)
        case ("null", .null?), ("bool", .bool?), ("int", .int?), ("float", .double?): return .scalar(text, plain: true)
        case ("float", .int(let integer)?): return .scalar("\(Double(integer))", plain: true)
        case ("null", _), ("bool", _), ("int", _), ("float", _):
            throw ShuntError(
                .configType, "'\(ConfigDiagnostics.excerpt(text))' is not what its tag !!\(name(of: scalar.tag)) says", at: location,
                help: "leave the tag out, or write a value of that type")
        case (let other, _): throw unknown(other, at: location)
        }
    }

    /// A list's or mapping's tag may only say that it is one.
    static func check(_ tag: Tag, _ expected: String, _ what: String, at location: String) throws(ShuntError) {
        switch name(of: tag) {
        case "", "!", expected: return
        case "str", "null", "bool", "int", "float", "seq", "map":
            throw ShuntError(
                .configType, "the tag !!\(name(of: tag)) stands at \(what)", at: location, help: "leave the tag out")
        case let other: throw unknown(other, at: location)
        }
    }

    /// Whether a key is `<<`, which merges a mapping into another. Yams gives keys without a tag the tag of a text.
    static func isMerge(_ key: Node.Scalar) -> Bool {
        let isPlain = key.style == .plain || key.style == .any
        return key.string == "<<" && isPlain && ["", "str", "merge"].contains(name(of: key.tag))
    }

    /// The short name of a tag of YAML's own, the whole of any other; empty where none was given.
    private static func name(of tag: Tag) -> String {
        let name = tag.description
        return name.hasPrefix(standard) ? String(name.dropFirst(standard.count)) : name
    }

    private static func unknown(_ name: String, at location: String) -> ShuntError {
        ShuntError(
            .configInvalid, "the tag \(ConfigDiagnostics.excerpt(name)) is not known", at: location,
            help: "known are !!str, !!int, !!float, !!bool, !!null, !!seq and !!map; put in quotes what begins with !")
    }
}
