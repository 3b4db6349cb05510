/// The role of a master that has peers, and what it knows of them.
public struct MasterRoleRecord: Codable, Equatable, Sendable {
    /// `serving` or `standby`.
    public var role: String
    /// Its own address, as workers have it.
    public var address: String
    /// The term in which it serves, or the last that it has heard of.
    public var term: Int64
    /// When the role began, seconds since 1970.
    public var since: Double
    /// The master that serves; nil where this one hears of none.
    public var serving: String?
    /// How many workers it hears, and how many there are in the electorate of a master that serves, as far as workers know of it.
    public var heard: Int
    public var electorate: Int?
    public var masters: [Other]

    /// Another master.
    public struct Other: Codable, Equatable, Sendable {
        public var address: String
        /// `serving`, `standby`, or `silent`.
        public var role: String
        /// The last term that it has said.
        public var term: Int64

        public init(address: String, role: String, term: Int64) { (self.address, self.role, self.term) = (address, role, term) }
    }

    public init(
        role: String, address: String, term: Int64, since: Double, serving: String?, heard: Int, electorate: Int? = nil, masters: [Other] = []
    ) {
        (self.role, self.address, self.term, self.since, self.serving) = (role, address, term, since, serving)
        (self.heard, self.electorate, self.masters) = (heard, electorate, masters)
    }
}
