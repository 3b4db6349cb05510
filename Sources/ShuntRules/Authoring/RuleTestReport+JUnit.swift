import ShuntCore

extension RuleTestReport {
    /// JUnit's XML, which CI systems read: a suite for each plugin.
    public var junit: String {
        let seconds = plugins.reduce(0) { $0 + $1.seconds }
        var lines = [
            #"<?xml version="1.0" encoding="UTF-8"?>"#,
            "<testsuites name=\"shunt rule test\" \(Self.counts(passed + failed, failed, seconds))>",
        ]
        for plugin in plugins {
            lines.append("  <testsuite name=\"\(XMLText.of(plugin.name))\" \(Self.counts(plugin.results.count, plugin.failed, plugin.seconds))>")
            for result in plugin.results { lines += Self.lines(of: result, plugin) }
            let warnings = plugin.warnings.map { XMLText.of("warning \(plugin.name): \($0)") }
            if !warnings.isEmpty { lines.append("    <system-err>\(warnings.joined(separator: "\n"))</system-err>") }
            lines.append("  </testsuite>")
        }
        return (lines + ["</testsuites>"]).joined(separator: "\n")
    }

    private static func counts(_ tests: Int, _ failures: Int, _ seconds: Double) -> String {
        "tests=\"\(tests)\" failures=\"\(failures)\" errors=\"0\" skipped=\"0\" time=\"\(decimal(seconds))\""
    }

    private static func lines(of result: RuleTestResult, _ plugin: Plugin) -> [String] {
        let test =
            "    <testcase classname=\"\(XMLText.of(plugin.name))\" name=\"\(XMLText.of(result.name))\" "
            + "file=\"\(XMLText.of(plugin.directory + (plugin.isLoaded ? "/rule_test.lua" : "/rule.lua")))\" time=\"\(decimal(result.seconds))\""
        guard let failure = result.failure else { return [test + "/>"] }
        let message = XMLText.of(failure.message)
        return [
            test + ">",
            "      <failure type=\"\(failure.code.rawValue)\" message=\"\(message)\">\(XMLText.of(failure.description))</failure>",
            "    </testcase>",
        ]
    }
}

/// Text within XML 1.0, as an attribute or between tags.
enum XMLText {
    /// Escapes the characters of XML's own, and those that a terminal would obey or hide, such as line feeds in attributes. U+FFFD
    /// stands for the characters that XML cannot hold.
    static func of(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&apos;"
            case _ where !isHeld(scalar): result.unicodeScalars.append("\u{FFFD}")
            case _ where PrintableText.isUnsafe(scalar): result += "&#x\(String(scalar.value, radix: 16, uppercase: true));"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isHeld(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x9, 0xA, 0xD: true
        case 0..<0x20, 0xFFFE, 0xFFFF: false
        default: true
        }
    }
}
