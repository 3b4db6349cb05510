import Logging
import ShuntCore

/// Lines for programs, RFC 8259.
enum JSONLine {
    static func write(_ line: LogLine, to bytes: inout [UInt8]) {
        bytes.append(#"{"time":""#)
        line.time.write(to: &bytes)
        bytes.append(#"","level":"#)
        write(line.level.rawValue, to: &bytes)
        bytes.append(#","subsystem":"#)
        write(line.subsystem, to: &bytes)
        if let process = line.process {
            bytes.append(UInt8(ascii: ","))
            write(process.kind, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            write(process.name, to: &bytes)
        }
        bytes.append(#","message":"#)
        write(line.message, to: &bytes)
        if !line.metadata.isEmpty {
            bytes.append(#","metadata":"#)
            write(line.metadata, depth: 0, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private static func write(_ metadata: Logger.Metadata, depth: Int, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "{"))
        for (index, entry) in LogLine.shown(metadata).enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(entry.key, to: &bytes)
            bytes.append(UInt8(ascii: ":"))
            write(entry.value, depth: depth + 1, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
    }

    private static func write(_ value: Logger.MetadataValue, depth: Int, to bytes: inout [UInt8]) {
        guard depth <= LogLine.maximumDepth else { return write("…", to: &bytes) }
        switch value {
        case .string(let text): write(text, to: &bytes)
        case .stringConvertible(let number as any FixedWidthInteger): bytes.append(contentsOf: "\(number)".utf8)
        case .stringConvertible(let truth as Bool): bytes.append(contentsOf: "\(truth)".utf8)
        case .stringConvertible(let number as Double) where number.isFinite: bytes.append(contentsOf: "\(number)".utf8)
        case .stringConvertible(let convertible): write(convertible.description, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.prefix(LogLine.maximumEntries).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                write(value, depth: depth + 1, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .dictionary(let metadata): write(metadata, depth: depth, to: &bytes)
        }
    }

    private static func write(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        bytes.append(text, escape: escape)
        bytes.append(UInt8(ascii: "\""))
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String? {
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case _ where scalar.isUnsafe: PrintableText.jsonEscape(scalar)
        default: nil
        }
    }
}
