import ShuntCore

/// A topic filter, or the name of a consumer group, in which `%u` and `%c` stand for the client's uid and client identifier.
struct TopicTemplate: Hashable, Sendable {
    enum Filled: Equatable {
        case text([UInt8])
        /// The client has no such name: there is nothing that this could mean for it.
        case absent
        /// The client's name has wildcards or a slash, and would make another filter than was meant.
        case dangerous
    }

    let text: ExactText
    let hasUID: Bool
    let hasClientID: Bool

    /// - Parameter isFilled: whether `%u` and `%c` have a meaning.
    init(_ text: String, isFilled: Bool = true) {
        self.text = ExactText(text)
        hasUID = isFilled && Self.has(UInt8(ascii: "u"), text)
        hasClientID = isFilled && Self.has(UInt8(ascii: "c"), text)
    }

    private static func has(_ letter: UInt8, _ text: String) -> Bool {
        zip(text.utf8, text.utf8.dropFirst()).contains { $0 == (UInt8(ascii: "%"), letter) }
    }

    func fill(_ who: Who) -> Filled {
        guard hasUID || hasClientID else { return .text(Array(text.text.utf8)) }
        if hasUID, who.uid.isEmpty { return .absent }
        if hasClientID, who.clientID.isEmpty { return .absent }
        if hasUID, Self.isDangerous(who.uid) { return .dangerous }
        if hasClientID, Self.isDangerous(who.clientID) { return .dangerous }
        var filled: [UInt8] = []
        var rest = text.text.utf8[...]
        while let byte = rest.popFirst() {
            switch (byte, rest.first) {
            case (UInt8(ascii: "%"), UInt8(ascii: "u")?):
                filled += who.uid.utf8
                rest.removeFirst()
            case (UInt8(ascii: "%"), UInt8(ascii: "c")?):
                filled += who.clientID.utf8
                rest.removeFirst()
            default: filled.append(byte)
            }
        }
        return .text(filled)
    }

    private static func isDangerous(_ name: String) -> Bool { name.utf8.contains { "+#/\0".utf8.contains($0) } }

    /// - Throws: `topic.invalid` if the text is no topic filter.
    static func check(_ filter: String) throws(ShuntError) {
        guard !filter.isEmpty, filter.utf8.count <= maximumSize, TopicFilter.isFilter(filter),
            TopicFilter.levels(of: filter) <= TopicFilter.maximumLevels
        else {
            throw ShuntError(
                .configInvalid, "'\(PrintableText.of(String(filter.prefix(60))))' is not a topic filter",
                help: "+ and # fill a level, # the last one, and \(TopicFilter.maximumLevels) levels are the most")
        }
    }

    /// The longest filter, in bytes.
    static let maximumSize = 65_535
}
