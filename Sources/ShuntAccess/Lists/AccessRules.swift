import ShuntConfig
import ShuntCore

/// What clients may do: a YAML file of entries, read from the first to the last; the first that fits a client, an action and a topic decides.
///
/// It says what an ACL file cannot: who by address, certificate, client identifier or group of users, and consumer groups, broadcasts and chats.
/// docs/access.md describes its form.
public struct AccessRules: Sendable {
    /// One element of `rules:`.
    struct Entry: Sendable {
        var isAllowed: Bool
        var actions: AccessActions
        var to: Clients
        /// nil: every topic.
        var topics: [TopicTemplate]?
        /// The consumer groups that `share` is about; nil: every one.
        var consumerGroups: [TopicTemplate]?
        /// `file:line:column`.
        var location: String
    }

    /// The clients that an entry is for: each condition that is given holds for them.
    struct Clients: Sendable {
        var uids: Set<ExactText>?
        var clientIDs: Set<ExactText>?
        var certificates: Set<ExactText>?
        var addresses: [AddressRange]?

        func include(_ who: Who) -> Bool {
            if let uids, !uids.contains(ExactText(who.uid)) { return false }
            if let clientIDs, !clientIDs.contains(ExactText(who.clientID)) { return false }
            if let certificates, !(who.certificate.map { certificates.contains(ExactText($0)) } ?? false) { return false }
            if let addresses, !addresses.contains(where: { $0.contains(who.address) }) { return false }
            return true
        }
    }

    let entries: [Entry]

    public static let maximumEntries = 10_000
    /// Topics of an entry, uids of a group, and the like.
    public static let maximumElements = 10_000
    /// The largest file, in bytes.
    public static let maximumSize = 4 << 20

    /// - Parameter name: the file's name, for errors.
    /// - Throws: every error with its line and column.
    public init(_ yaml: String, name: String) throws(ConfigurationErrors) {
        var reader = AccessRulesReader()
        do throws(ShuntError) {
            guard yaml.utf8.count <= Self.maximumSize else { throw ShuntError(.configRange, "the file is too large", at: name, help: "at most 4MiB") }
            entries = try YAMLDocument.parse(yaml, from: .file(name)).map { reader.read($0) } ?? []
        } catch {
            entries = []
            reader.diagnostics.add(error)
        }
        try reader.diagnostics.throwAny()
    }
}
