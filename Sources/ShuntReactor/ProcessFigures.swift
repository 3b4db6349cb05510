import Glibc
public import ShuntCore

/// What the system says of this process, by the names that Prometheus' own clients use.
public struct ProcessFigures: Sendable {
    public var openFiles: Int
    /// nil: as many as it likes.
    public var maximumFiles: Int?
    public var residentBytes: Int
    /// Of the processor, of all threads.
    public var seconds: Double
    /// Seconds since 1970.
    public var startedAt: Double

    /// As of now. A figure that the system does not give is 0.
    public static func now() -> ProcessFigures {
        var files = rlimit()
        let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0
        let pages = text(of: "/proc/self/statm").split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return ProcessFigures(
            openFiles: openFiles, maximumFiles: isKnown ? Int(exactly: files.rlim_cur) : nil, residentBytes: pages * sysconf(Int32(_SC_PAGESIZE)),
            seconds: seconds(of: CLOCK_PROCESS_CPUTIME_ID), startedAt: start)
    }

    /// Linux tells the number as the size of the folder from 6.2 on; before, its entries are counted.
    private static var openFiles: Int {
        var found = stat()
        if stat("/proc/self/fd", &found) == 0, found.st_size > 0 { return Int(found.st_size) }
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Less the two dots, and the descriptor of the folder itself.
        return max(0, count - 3)
    }

    /// Read once: the two clocks are not read in the same moment, and a start does not change.
    private static let start: Double = {
        // proc_pid_stat(5): the name may hold anything, so fields are counted behind its parenthesis; the start is the 22nd, in ticks since boot.
        let fields = text(of: "/proc/self/stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 19, let ticks = Double(fields[19]) else { return 0 }
        let age = seconds(of: CLOCK_BOOTTIME) - ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
        return seconds(of: CLOCK_REALTIME) - age
    }()

    private static func seconds(of clock: clockid_t) -> Double {
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// The first 4 KiB of a file of /proc, which is given whole by one read.
    private static func text(of path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        return String(unsafeUninitializedCapacity: 4096) { max(0, read(descriptor, $0.baseAddress, $0.count)) }
    }
}

extension MetricsText {
    public mutating func process(_ figures: ProcessFigures) {
        gauge("process_open_fds", "File descriptors that the process has open.", figures.openFiles)
        if let most = figures.maximumFiles { gauge("process_max_fds", "File descriptors that the system allows the process.", most) }
        gauge("process_resident_memory_bytes", "Memory of the process that is in the machine's memory.", figures.residentBytes)
        family("process_cpu_seconds_total", "counter", "Time of processors that the process has used, of all threads, in seconds.")
        sample("process_cpu_seconds_total", [:], figures.seconds)
        family("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.")
        sample("process_start_time_seconds", [:], figures.startedAt)
    }
}
