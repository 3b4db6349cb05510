import ShuntCore

/// The fault of a scalar's text.
enum ScalarFault: Error {
    /// Not of the type at all.
    case type
    /// Of the type, but not allowed.
    case range
}

extension ConfigType {
    /// A type whose values are one word or number.
    static func scalar(
        _ summary: String, text: @escaping @Sendable (Value) -> String,
        parse: @escaping @Sendable (String) throws(ScalarFault) -> Value
    ) -> ConfigType {
        ConfigType(summary, .scalar) { node, label, diagnostics in
            guard case .scalar(let given, _) = node.content, !node.isNull else {
                let found = node.isNull ? "nothing" : node.entries == nil ? "a list" : "a mapping"
                let help = node.isNull ? summary + "; without the key its default holds" : summary
                diagnostics.add(.configType, "\(label) is \(found), not a value", at: node.location, help: help)
                return nil
            }
            do throws(ScalarFault) {
                return try parse(given)
            } catch {
                let shown = ConfigDiagnostics.excerpt(given)
                switch error {
                case .type: diagnostics.add(.configType, "\(label) cannot be '\(shown)'", at: node.location, help: summary)
                case .range:
                    diagnostics.add(.configRange, "\(label) is out of range: '\(shown)'", at: node.location, help: summary)
                }
                return nil
            }
        } text: {
            text($0)
        }
    }
}

extension ConfigType<Int> {
    static func int(_ range: ClosedRange<Int>) -> ConfigType {
        scalar("integer, \(range.lowerBound) to \(range.upperBound)", text: \.description) { text throws(ScalarFault) in
            guard isInteger(text) else { throw .type }
            guard let value = Int(text), range.contains(value) else { throw .range }
            return value
        }
    }

    /// Bytes.
    static func size(_ range: ClosedRange<Int>) -> ConfigType {
        scalar("size, \(SizeText.write(range.lowerBound)) to \(SizeText.write(range.upperBound))", text: SizeText.write) {
            text throws(ScalarFault) in
            let value = try SizeText.read(text)
            guard range.contains(value) else { throw .range }
            return value
        }
    }

    private static func isInteger(_ text: String) -> Bool {
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        return !digits.isEmpty && digits.utf8.allSatisfy(\.isASCIIDigit)
    }
}

extension ConfigType<Bool> {
    /// As YAML's core schema has it; in quotes too.
    static var bool: ConfigType {
        scalar("true or false", text: \.description) { text throws(ScalarFault) in
            guard case .bool(let value)? = ConfigValue(plain: text) else { throw .type }
            return value
        }
    }
}

extension ConfigType<Duration> {
    static func duration(_ range: ClosedRange<Duration>) -> ConfigType {
        let summary = "duration, \(DurationText.write(range.lowerBound)) to \(DurationText.write(range.upperBound))"
        return scalar(summary, text: DurationText.write) { text throws(ScalarFault) in
            let value = try DurationText.read(text)
            guard range.contains(value) else { throw .range }
            return value
        }
    }
}

extension ConfigType<HostPort> {
    /// - Parameter ports: from 0 where the system may choose one.
    static func address(ports: ClosedRange<Int>) -> ConfigType {
        let summary = "address as host:port or [IPv6]:port, port \(ports.lowerBound) to \(ports.upperBound)"
        return scalar(summary, text: { YAMLText.scalar($0.description) }) { text throws(ScalarFault) in
            guard let address = HostPort(text, ports: 0...65_535) else { throw .type }
            guard ports.contains(address.port) else { throw .range }
            return address
        }
    }
}

extension ConfigType<ListenAddress> {
    static var listenAddress: ConfigType {
        let summary = "address as host:port or [IPv6]:port, port 0 to 65535, or unix: and the path of a socket"
        return scalar(summary, text: { YAMLText.scalar($0.description) }) { text throws(ScalarFault) in
            guard let address = ListenAddress(text, ports: 0...65_535) else { throw .type }
            return address
        }
    }
}

extension ConfigType<AddressRange> {
    static var addressRange: ConfigType {
        scalar("IP address, or addresses as in 10.0.0.0/8", text: { YAMLText.scalar($0.description) }) { text throws(ScalarFault) in
            guard let range = AddressRange(text) else { throw .type }
            return range
        }
    }
}

extension ConfigType<String> {
    /// A topic that clients may publish to.
    static var topicOrNone: ConfigType {
        scalar("topic without + and #, of at most 1024 bytes, that begins with no $; '' for none", text: YAMLText.scalar) {
            text throws(ScalarFault) in
            let isTopic = text.utf8.allSatisfy { $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "#") && $0 != 0 }
            guard isTopic, !text.hasPrefix("$") else { throw .type }
            guard text.utf8.count <= 1024 else { throw .range }
            return text
        }
    }

    /// A word that people see: no control characters.
    static func name(maximum: Int, emptyMeans: String? = nil) -> ConfigType {
        let summary = "text of up to \(maximum) bytes" + (emptyMeans.map { "; empty: \($0)" } ?? ", not empty")
        return scalar(summary, text: YAMLText.scalar) { text throws(ScalarFault) in
            guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f }) else { throw .type }
            guard text.utf8.count <= maximum, !text.isEmpty || emptyMeans != nil else { throw .range }
            return text
        }
    }

    static func host(emptyMeans: String) -> ConfigType {
        scalar("host name or address without a port; empty: \(emptyMeans)", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard text.isEmpty || HostPort.isHost(text) else { throw .type }
            return text
        }
    }

    /// A host's name, or `*.` and a name: any host under it.
    static var hostPattern: ConfigType {
        scalar("host name, or *.name for all under it, without a port", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard HostPort.isHost(text.hasPrefix("*.") ? text.dropFirst(2) : text[...]) else { throw .type }
            return text
        }
    }

    static var path: ConfigType {
        scalar("path, relative to the working directory or absolute", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard !text.contains("\0") else { throw .type }
            guard (1...4095).contains(text.utf8.count) else { throw .range }
            return text
        }
    }

    /// The path of an HTTP request.
    static var requestPath: ConfigType {
        scalar("path of up to 255 letters, digits and -._~/, that begins with /", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard text.hasPrefix("/"), text.utf8.allSatisfy({ $0.isASCIILetterOrDigit || "-._~/".utf8.contains($0) }) else { throw .type }
            guard text.utf8.count <= 255 else { throw .range }
            return text
        }
    }

    static var optionalPath: ConfigType { path(emptyMeans: "none") }

    static func path(emptyMeans: String) -> ConfigType {
        scalar("path, relative to the working directory or absolute; empty: \(emptyMeans)", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard !text.contains("\0") else { throw .type }
            guard text.utf8.count <= 4095 else { throw .range }
            return text
        }
    }

    /// Where Shunt asks by HTTP.
    static var httpAddress: ConfigType {
        scalar("\(HTTPAddress.summary); empty: none", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard text.isEmpty || HTTPAddress(text) != nil else { throw .type }
            return text
        }
    }

    /// A file, or where Shunt asks by HTTP.
    static func pathOrHTTPAddress(emptyMeans: String) -> ConfigType {
        let path = path(emptyMeans: emptyMeans)
        return scalar("\(path.summary); or \(HTTPAddress.summary)", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard !text.contains("\0"), !HTTPAddress.isMeant(by: text) || HTTPAddress(text) != nil else { throw .type }
            guard text.utf8.count <= 4095 else { throw .range }
            return text
        }
    }

    /// Where a page comes from, as browsers say it (RFC 6454 §6.1), or `*`.
    static var origin: ConfigType {
        scalar("* for all, or scheme://host or scheme://host:port", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard text != "*" else { return text }
            guard let separator = text.firstRange(of: "://"), text[..<separator.lowerBound].utf8.allSatisfy(\.isASCIILetterOrDigit),
                !text.hasPrefix(":")
            else { throw .type }
            let authority = text[separator.upperBound...]
            guard HostPort.isHost(authority) || HostPort(String(authority), ports: 1...65_535) != nil else { throw .type }
            return text.lowercased()
        }
    }

    /// A plugin's or listener's name: letters, digits, `-`, `_`.
    static var identifier: ConfigType {
        scalar("name of up to 64 letters, digits, - and _", text: YAMLText.scalar) { text throws(ScalarFault) in
            guard isIdentifier(text) else { throw .type }
            return text
        }
    }

    static func isIdentifier(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { $0.isASCIILetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }
}

extension ConfigType where Value: RawRepresentable<String> & CaseIterable {
    /// One of the words of an enumeration.
    static var word: ConfigType {
        let words = Value.allCases.map(\.rawValue)
        let summary = words.count == 1 ? words[0] : "one of " + words.joined(separator: ", ")
        return scalar(summary, text: \.rawValue) { text throws(ScalarFault) in
            guard let value = Value(rawValue: text) else { throw .range }
            return value
        }
    }
}
