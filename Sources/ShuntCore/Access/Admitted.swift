/// A client that is let in: what is known of it, by whatever has decided.
public struct Admitted: Equatable, Sendable {
    /// nil: it has shown nothing that names it.
    public var uid: String?
    /// In place of those that it gives itself, where there are any.
    public var tags: [String]?
    public var alias: [String]?
    /// The common name of its certificate, if that was verified.
    public var certificate: String?
    /// Topic filters that it may publish and subscribe, by its token; nil: the lists alone say.
    public var acl: TopicLists?
    /// Of the entry of the password file that it came in by; nil: by something else.
    public var passwordStamp: Int?
    /// Seconds since 1970 when it has to go, or show a newer token.
    public var expiresAt = Double.infinity

    public init(uid: String? = nil) { self.uid = uid }
}
