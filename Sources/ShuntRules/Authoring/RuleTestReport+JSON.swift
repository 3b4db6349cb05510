import ShuntCore

extension RuleTestReport {
    /// One line of JSON, which cannot steer a terminal.
    public var json: String {
        let tests = plugins.flatMap { plugin in plugin.results.map { Self.json($0, of: plugin) } }
        let warnings = plugins.flatMap { plugin in
            plugin.warnings.map { "{\"plugin\":\(Self.quoted(plugin.name)),\(Self.members($0))}" }
        }
        let all =
            "{\"passed\":\(passed),\"failed\":\(failed),\"tests\":[\(tests.joined(separator: ","))],"
            + "\"warnings\":[\(warnings.joined(separator: ","))]}"
        return PrintableText.json(all)
    }

    private static func json(_ result: RuleTestResult, of plugin: Plugin) -> String {
        "{\"plugin\":\(quoted(plugin.name)),\"name\":\(quoted(result.name)),"
            + "\"result\":\"\(result.failure == nil ? "passed" : "failed")\",\"seconds\":\(decimal(result.seconds)),"
            + "\"failure\":\(result.failure.map { "{\(members($0))}" } ?? "null")}"
    }

    private static func members(_ error: ShuntError) -> String {
        "\"code\":\(quoted(error.code.rawValue)),\"message\":\(quoted(error.message)),"
            + "\"location\":\(error.location.map(quoted) ?? "null"),\"help\":\(error.help.map(quoted) ?? "null")"
    }

    static func quoted(_ text: String) -> String {
        var result = "\"".unicodeScalars
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: ["\\", "n"])
            case _ where scalar.value < 0x20: result.append(contentsOf: PrintableText.jsonEscape(scalar).unicodeScalars)
            default: result.append(scalar)
            }
        }
        result.append("\"")
        return String(result)
    }

    /// A time in seconds to the microsecond, without an exponent.
    static func decimal(_ seconds: Double) -> String {
        let microseconds = Int(seconds * 1e6)
        let fraction = String(microseconds % 1_000_000)
        return "\(microseconds / 1_000_000).\(String(repeating: "0", count: 6 - fraction.utf8.count))\(fraction)"
    }
}
