import ShuntCore

/// `application/x-www-form-urlencoded` names and values, as browsers and curl write them.
public enum QueryString {
    static let encodingHelp = "write each byte of a character that is not a letter or digit as %XX, in UTF-8"

    /// - Throws: `request.invalid` for a parameter that is unknown, given twice, not percent-encoded UTF-8, or not what it may be, and for one
    ///   that must be given and is not.
    static func parse(_ query: String, known: [HTTPParameter]) throws(ShuntError) -> [String: String] {
        var parameters: [String: String] = [:]
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = decode(parts[0]), let value = decode(parts.count > 1 ? parts[1] : "") else {
                throw ShuntError(
                    .requestInvalid, "the query is not percent-encoded UTF-8", at: String(pair), help: encodingHelp)
            }
            guard let parameter = known.first(where: { $0.name == name }) else {
                let help = known.isEmpty ? "this path takes none" : "this path takes " + known.map(\.name).joined(separator: ", ")
                throw ShuntError(.requestInvalid, "there is no parameter '\(name)'", at: name, help: help)
            }
            guard parameters.updateValue(value, forKey: name) == nil else {
                throw ShuntError(.requestInvalid, "'\(name)' is given twice", at: name, help: "give it once")
            }
            guard !value.utf8.contains(0) else {
                throw ShuntError(.requestInvalid, "'\(name)' has a NUL in it", at: name, help: "no text here has one")
            }
            try parameter.check(value)
        }
        for parameter in known where parameters[parameter.name] == nil {
            guard let wanted = parameter.wanted else { continue }
            throw ShuntError(.requestInvalid, "there is no '\(parameter.name)'", at: parameter.name, help: wanted)
        }
        return parameters
    }

    /// nil where the text is not percent-encoded UTF-8 (RFC 3986 §2.1).
    static func decode(_ text: Substring, plusIsSpace: Bool = true) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexDigit), let low = rest.popFirst().flatMap(hexDigit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    /// Percent-encodes all but the unreserved characters (RFC 3986 §2.3).
    public static func encode(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
