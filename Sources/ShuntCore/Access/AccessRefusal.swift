/// How a worker says that a client lacks a right, or is banned, and which code of the one list a text stands for: the exchange protocol carries a
/// status and a text, and a message that a rule rejects has the same status.
public enum AccessRefusal {
    public static let banned = "this client is banned"
    private static let lacks = "this client may not "
    private static let anotherUID = "', and may not register another uid"

    /// The client is let in as this user, and wants to be another.
    public static func isOther(than own: String) -> String { "this client is '\(own)\(anotherUID)" }

    /// - Parameter what: what the client may not do: `publish to 'a/b'`.
    public static func lacking(_ what: String) -> String { lacks + what }

    /// - Parameter text: the words of a refusal, which may go on with what would be right.
    /// - Returns: nil where they do not say either.
    public static func code(of text: String) -> ErrorCode? {
        if text == banned { return .accessBanned }
        return text.hasPrefix(lacks) || text.hasSuffix(anotherUID) ? .accessDenied : nil
    }
}
