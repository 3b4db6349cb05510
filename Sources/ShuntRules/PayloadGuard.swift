import ShuntCore

/// Keeps payloads out of the log: what a rule says, or Lua says of it, is hidden where it repeats a part of the message.
///
/// It finds what was copied as it is. A rule that takes a payload apart and logs the pieces is not found out.
struct PayloadGuard {
    /// A run of so many bytes that stands in both is a repetition.
    static let run = 8
    /// Larger payloads are not searched: nothing is said while a rule handles one.
    static let largest = 1 << 20
    static let notice = "(hidden: it repeats the payload)"

    /// - Parameter payload: as the rule reads it, unpacked.
    static func hides(_ text: String, _ payload: Bytes) -> Bool {
        guard !payload.isEmpty, !text.isEmpty else { return false }
        guard payload.count <= largest else { return true }
        var text = text
        return text.withUTF8 { text in
            let text = Bytes(text)
            guard payload.count >= run else { return payload.count >= 4 && contains(text, payload) }
            var runs: Set<UInt64> = []
            forEachRun(of: text) { runs.insert($0) }
            guard !runs.isEmpty else { return false }
            var found = false
            forEachRun(of: payload) { if runs.contains($0) { found = true } }
            return found
        }
    }

    private static func forEachRun(of bytes: Bytes, _ body: (UInt64) -> Void) {
        guard bytes.count >= run else { return }
        for offset in 0...(bytes.count - run) { body(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) }
    }

    private static func contains(_ text: Bytes, _ part: Bytes) -> Bool {
        guard text.count >= part.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0..<($0 + part.count)].elementsEqual(part) }
    }
}
