import ShuntCore

/// A query parameter that a route takes: a request is checked by it, and the API's document tells it.
public struct HTTPParameter: Equatable, Sendable {
    public enum Form: Equatable, Sendable {
        /// - most: Unicode scalars; nil: as many as a request line has room for.
        /// - pattern: a regular expression of ECMA-262 for the document; the route says itself what is wrong with a text.
        case text(least: Int = 0, most: Int? = nil, pattern: String? = nil)
        /// - usual: what counts where it is not given; nil: nothing does.
        case integer(ClosedRange<Int64>, usual: Int64? = nil)
        case boolean
        case choice([String])
    }

    public let name: String
    public let form: Form
    /// What it is for: a sentence.
    public let text: String
    /// Must be given; what to give, for the error where it is not. nil: it may be left out.
    public let wanted: String?

    public init(_ name: String, _ form: Form, _ text: String, wanted: String? = nil) {
        (self.name, self.form, self.text, self.wanted) = (name, form, text, wanted)
    }

    /// Any text.
    public init(_ name: String, _ text: String, wanted: String? = nil) { self.init(name, .text(), text, wanted: wanted) }

    /// One of the names of an enumeration's cases.
    public static func choice<Choice: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ type: Choice.Type, _ text: String
    ) -> HTTPParameter {
        HTTPParameter(name, .choice(type.allCases.map(\.rawValue)), text)
    }

    /// How many entries a page has where nobody says how many.
    public static let usualLimit = 100

    /// - Parameter most: the most entries that one page has.
    public static func limit(_ most: Int) -> HTTPParameter {
        HTTPParameter("limit", .integer(1...Int64(most), usual: Int64(usualLimit)), "How many entries the answer has at most.")
    }

    public static let offset = HTTPParameter(
        "offset", .integer(0...Int64.max, usual: 0), "How many entries to leave out first. A page beyond the end is empty.")

    /// - Throws: `request.invalid` where the value is not what the parameter takes.
    func check(_ value: String) throws(ShuntError) {
        switch form {
        case .text(_, let most, _):
            guard let most, value.unicodeScalars.count > most else { return }
            throw ShuntError(.requestInvalid, "the text for '\(name)' is too long", at: name, help: "give at most \(most) characters")
        case .integer(let range, _):
            guard let number = Int64(value), range.contains(number) else {
                throw ShuntError(
                    .requestInvalid, "'\(value)' is not a whole number that '\(name)' can be", at: name,
                    help: "give one from \(range.lowerBound) to \(range.upperBound)")
            }
        case .boolean:
            guard Bool(value) != nil else {
                throw ShuntError(
                    .requestInvalid, "'\(value)' is not something that '\(name)' can be", at: name, help: "give true or false")
            }
        case .choice(let values):
            guard values.contains(value) else {
                throw ShuntError(
                    .requestInvalid, "'\(value)' is not something that '\(name)' can be", at: name,
                    help: "give one of " + values.joined(separator: ", "))
            }
        }
    }
}
