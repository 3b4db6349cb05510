/// What a look at all of the registry's file has found.
public struct RegistryCheck: Codable, Equatable, Sendable {
    /// The registry's file.
    public var path: String
    public var bytes: Int
    /// What SQLite finds wrong, at most ``maximumFaults``; none: it is sound.
    public var faults: [String]

    public static let maximumFaults = 100

    public init(path: String, bytes: Int, faults: [String]) { (self.path, self.bytes, self.faults) = (path, bytes, faults) }
}

/// What a vacuum has done.
public struct RegistryVacuum: Codable, Equatable, Sendable {
    /// The registry's file.
    public var path: String
    public var bytesBefore: Int
    public var bytes: Int

    public init(path: String, bytesBefore: Int, bytes: Int) { (self.path, self.bytesBefore, self.bytes) = (path, bytesBefore, bytes) }
}
