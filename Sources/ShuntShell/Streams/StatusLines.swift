import Glibc
import ShuntCore

/// Lines for people, on standard error. A progress line is drawn over and over, and only where a terminal shows it.
public struct StatusLines: Sendable {
    public let isTerminal: Bool
    private let descriptor: Int32

    public init(descriptor: Int32 = STDERR_FILENO) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
    }

    /// - Parameter text: may hold text of others: characters that steer a terminal are escaped.
    public func line(_ text: String) { write((isTerminal ? "\r\u{1B}[K" : "") + PrintableText.of(text) + "\n") }

    public func progress(_ text: String) {
        if isTerminal { write("\r\u{1B}[K" + PrintableText.of(text)) }
    }

    public func clearProgress() {
        if isTerminal { write("\r\u{1B}[K") }
    }

    private func write(_ text: String) {
        let bytes = Array(text.utf8)
        // If standard error is closed, the line is lost.
        _ = Glibc.write(descriptor, bytes, bytes.count)
    }
}
