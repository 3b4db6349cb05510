import MQTTCodec
import ShuntCore

/// How often something went wrong, by its reason. Bounded, however many reasons a broker invents.
struct ReasonTally: Equatable, Sendable {
    static let maximumReasons = 20
    static let others = "other reasons"
    private(set) var counts: [String: Int] = [:]

    mutating func note(_ reason: String, count: Int = 1) {
        let named = counts.count - (counts[Self.others] == nil ? 0 : 1)
        let isKnown = counts[reason] != nil || named < Self.maximumReasons
        counts[isKnown ? reason : Self.others, default: 0] += count
    }

    mutating func merge(_ other: ReasonTally) {
        for (reason, count) in other.counts { note(reason, count: count) }
    }
}

extension ReasonCode {
    /// In words, and its number: `not authorized (0x87)`.
    var words: String {
        var words = ""
        for character in "\(self)".replacing("QoS", with: " QoS") {
            words +=
                character.isUppercase && !words.hasSuffix(" ") && !words.hasSuffix("Q") && !words.hasSuffix("o")
                ? " " + character.lowercased() : String(character)
        }
        let hex = String(rawValue, radix: 16, uppercase: true)
        return "\(words) (0x\(hex.utf8.count < 2 ? "0" : "")\(hex))"
    }
}
