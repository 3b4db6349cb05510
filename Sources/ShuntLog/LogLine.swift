import Logging
import ShuntConfig
import ShuntCore

/// The format of lines.
enum LogFormat: Equatable, Sendable {
    /// For people: `2026-03-01T12:00:00.000Z INFO  worker: message key=value`.
    case text(colour: Bool)
    /// For programs: one object a line, with time, level, subsystem, message and metadata.
    case json

    init(_ format: Configuration.Log.Format, isTerminal: Bool, colour: Bool) {
        self =
            switch format {
            case .text: .text(colour: colour)
            case .json: .json
            case .auto: isTerminal ? .text(colour: colour) : .json
            }
    }
}

/// The process that logs, where it is one worker or one master.
public struct LogProcess: Equatable, Sendable {
    /// `worker` or `master`.
    let kind: String
    let name: String

    public init(kind: String, name: String) {
        self.kind = kind
        self.name = name
    }
}

/// One log entry.
struct LogLine {
    /// The most bytes of one text; a longer one is cut.
    static let maximumText = 4096
    /// Entries of the metadata, and elements of a list in it.
    static let maximumEntries = 64
    /// Lists and mappings inside one another.
    static let maximumDepth = 8

    var time: UTCTime
    var level: Logger.Level
    var subsystem: String
    var message: String
    var metadata: Logger.Metadata
    /// The process that writes the line, for programs that read several processes' logs.
    var process: LogProcess?

    /// The line with its end.
    func formatted(_ format: LogFormat) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(192)
        switch format {
        case .text(let colour): TextLine.write(self, colour: colour, to: &line)
        case .json: JSONLine.write(self, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        return line
    }

    /// The metadata in order, up to the limit.
    static func shown(_ metadata: Logger.Metadata) -> some Sequence<(key: String, value: Logger.MetadataValue)> {
        metadata.sorted { $0.key < $1.key }.prefix(maximumEntries).map { (key: $0.key, value: $0.value) }
    }
}

extension [UInt8] {
    mutating func append(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a text's scalars up to a bound of bytes, each as it is or as an escape.
    /// - Parameter escape: nil for a scalar that may stand as it is.
    mutating func append(_ text: some StringProtocol, escape: (Unicode.Scalar) -> String?) {
        let end = count + LogLine.maximumText
        for scalar in text.unicodeScalars {
            guard count < end else {
                append(contentsOf: "…".utf8)
                return
            }
            if let escaped = escape(scalar) {
                append(contentsOf: escaped.utf8)
            } else {
                append(contentsOf: scalar.utf8)
            }
        }
    }
}

extension Unicode.Scalar {
    /// Whether a terminal or a viewer could take the scalar for something other than text: controls, line ends, changes of direction,
    /// invisible characters.
    var isUnsafe: Bool { PrintableText.isUnsafe(self) }

    /// At least `digits` hexadecimal digits.
    func hex(digits: Int) -> String {
        let hex = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - hex.utf8.count)) + hex
    }
}
