import FoundationEssentials
import Glibc
import ShuntCore

/// The output of a command, and the properties of the terminal or file that takes it.
struct Console: Sendable {
    /// The width in columns; nil if lines may have any length.
    var width: Int?
    /// Whether the output goes to a terminal.
    var isTerminal: Bool { width != nil }
    var colors: Bool
    var environment: [String: String]
    /// Seconds since 1970.
    var now: @Sendable () -> Double
    /// Throws `io.failed`.
    var write: @Sendable (String) throws(ShuntError) -> Void
    var writeError: @Sendable (String) -> Void

    /// The process's own console: fitted and coloured only if standard output is a terminal.
    static var standard: Console {
        let environment = ProcessInfo.processInfo.environment
        let isTerminal = isatty(STDOUT_FILENO) == 1
        return Console(
            width: isTerminal ? terminalWidth(environment) : nil,
            colors: isTerminal && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb",
            environment: environment,
            now: { Date().timeIntervalSince1970 },
            write: { text throws(ShuntError) in
                guard let code = writeAll(text, to: STDOUT_FILENO) else { return }
                throw ShuntError(
                    .ioFailed, "standard output cannot be written: \(String(cString: strerror(code)).lowercased())")
            },
            // If standard error is closed, the error is lost.
            writeError: { _ = writeAll($0, to: STDERR_FILENO) })
    }

    private static func terminalWidth(_ environment: [String: String]) -> Int {
        var size = winsize()
        if ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return environment["COLUMNS"].flatMap { Int($0) }.map { max($0, 1) } ?? 80
    }

    /// Writes at once, so that `--follow` shows each event in a pipe.
    /// - Returns: the error, if the text was not written whole.
    private static func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
        var rest = ArraySlice(Array(text.utf8))
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return errno }
            rest = rest.dropFirst(count)
        }
        return nil
    }
}
