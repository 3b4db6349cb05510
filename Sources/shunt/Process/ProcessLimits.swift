import CLinux
import Glibc

/// Limits that a server process sets before it starts.
enum ProcessLimits {
    /// No payload may reach a disk: a crash leaves no dump, and nobody else may read this process's memory.
    /// As many descriptors as the system allows: one a connection.
    static func prepare() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(RLIMIT_CORE.rawValue), &none)
        linux_forbid_dump()
        linux_return_large_blocks()
        var files = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files) == 0 {
            files.rlim_cur = files.rlim_max
            setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &files)
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// Gives back the memory that only the start needed: freed heap, and pages of the program file that the kernel can map again.
    static func settle() { linux_settle_memory() }
}
