import Glibc

/// How a process shares out the file descriptors that the system allows it: nearly all to clients, the rest to HTTP, the link to the
/// master, the registry and files.
///
/// The system hands out the lowest free number. So a new descriptor of number n says that n others are open, and comparing numbers counts
/// whatever the process has open.
public struct DescriptorBudget: Equatable, Sendable, CustomStringConvertible {
    /// How many the process may have open: RLIMIT_NOFILE.
    public let limit: Int
    /// A client whose descriptor has this number or a higher one is not let in.
    public let clients: Int
    /// `maximumConnections` of each HTTP endpoint, which may have twice as many open.
    public let httpConnections: Int

    /// Clients that find no room, and are told where there is some, at a time.
    public var turnedAway: Int { min(100, (limit - clients) / 4) }

    /// For the link, look-ups of names, the registry and files.
    private static let others = 64
    private static let fewestOthers = 12
    private static let mostHTTPConnections = 128

    /// - Parameter endpoints: the HTTP endpoints of the process.
    public init(limit: Int, endpoints: Int) {
        let endpoints = max(1, endpoints)
        let full = Self.others + endpoints * 2 * Self.mostHTTPConnections
        let reserve = max(2 * Self.fewestOthers, min(full, limit / 4))
        let others = max(Self.fewestOthers, min(Self.others, reserve / 5))
        self.limit = limit
        clients = max(1, limit - reserve)
        httpConnections = max(1, min(Self.mostHTTPConnections, (reserve - others) / (2 * endpoints)))
    }

    /// By the limit that holds for this process now.
    public static func ofProcess(endpoints: Int) -> DescriptorBudget {
        var files = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0
        return DescriptorBudget(limit: isKnown ? Int(clamping: min(files.rlim_cur, rlim_t(Int32.max))) : 1024, endpoints: endpoints)
    }

    /// Clients that find room beside what the process has open now.
    public var room: Int {
        guard let folder = opendir("/proc/self/fd") else { return clients }
        defer { closedir(folder) }
        var open = 0
        while readdir(folder) != nil { open += 1 }
        // Two entries are no descriptors, and one is the folder's own.
        return max(0, clients - (open - 3))
    }

    public var description: String { "\(limit) file descriptors, \(clients) of them for clients" }

    /// What an operator does about too few.
    public static let remedy = "raise the hard limit of open files (ulimit -Hn, LimitNOFILE= of a systemd unit, --ulimit of a container)"

    func isForClients(_ descriptor: Int32) -> Bool { Int(descriptor) < clients }

    /// The same socket under the lowest free number, where one has become free.
    public static func lowered(_ descriptor: Int32) -> Int32 {
        let lower = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard lower >= 0 else { return descriptor }
        close(descriptor)
        return lower
    }
}
