import ShuntCore

/// The way to find a payload's format.
public enum FormatChoice: Sendable, Equatable {
    case text, json
    /// JSON where the payload begins and ends like an object or an array.
    case automatic

    public func format(of payload: [UInt8]) -> PayloadFormat {
        switch self {
        case .text: .text
        case .json: .json
        case .automatic: Self.looksLikeJSON(payload) ? .json : .text
        }
    }

    private static func looksLikeJSON(_ payload: [UInt8]) -> Bool {
        let isSpace = { (byte: UInt8) in byte == 0x20 || 0x09...0x0D ~= byte }
        guard let first = payload.first(where: { !isSpace($0) }), let last = payload.last(where: { !isSpace($0) }) else {
            return false
        }
        switch (first, last) {
        case (UInt8(ascii: "{"), UInt8(ascii: "}")), (UInt8(ascii: "["), UInt8(ascii: "]")): return true
        default: return false
        }
    }
}
