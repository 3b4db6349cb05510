/// How one of Shunt's workers and one of its masters show each other that they have the cluster's token: two BINDING frames of the worker, which
/// message-channel never sends, with the name `link`, and their acknowledgements.
///
/// | frame | value | the acknowledgement's value |
/// |---|---|---|
/// | key `HELLO` | the worker's nonce | the master's nonce |
/// | key `PROVE` | the worker's proof | the master's proof |
///
/// Nonces and proofs have 32 bytes, written as hexadecimal digits.
public enum LinkProof {
    public static let frameName = "link"
    /// Bytes of a nonce, and of a proof.
    public static let length = 32

    public enum Step: String, Sendable {
        case hello = "HELLO"
        case prove = "PROVE"
    }

    public static func frame(_ step: Step, id: Int64, _ bytes: [UInt8]) -> Frame {
        Frame(.binding, id: id, text: text(of: bytes), name: frameName, key: step.rawValue)
    }

    public static func text(of bytes: [UInt8]) -> String {
        String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The nonce or proof of a value; nil where the text is another one.
    public static func bytes(of value: some Sequence<UInt8>) -> [UInt8]? {
        var found: [UInt8] = []
        var high: UInt8?
        for byte in value {
            guard found.count < length, let digit = digits.firstIndex(of: byte).map(UInt8.init) else { return nil }
            if let first = high {
                found.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return found.count == length && high == nil ? found : nil
    }

    private static let digits = Array("0123456789abcdef".utf8)
}
