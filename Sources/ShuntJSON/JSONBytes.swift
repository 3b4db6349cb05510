import FoundationEssentials

/// Bytes that are no text, as JSON has them (RFC 4648 §4).
public enum JSONBytes {
    /// nil if it is no base64.
    public static func decode(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }

    public static func encode(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }
}
