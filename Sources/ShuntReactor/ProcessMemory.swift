import CLinux

/// The memory of the whole process.
public enum ProcessMemory {
    /// Gives back to the system what was freed. It takes milliseconds where much was, so no loop calls it.
    public static func trim() { linux_trim_memory() }
}
