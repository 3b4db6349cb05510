import CLinux
import Glibc
import ShuntCore

/// The first and the last steps of every command.
enum CommandLineProcess {
    static func prepare() {
        repairColumns()
        if let error = RawArguments.process.fault { exit(fail([error]).rawValue) }
        atexit { CommandLineProcess.checkOutput() }
    }

    /// Printed text goes to a buffer, so a write may fail as late as here.
    private static func checkOutput() {
        let code = linux_flush_output()
        guard code != 0, code != EPIPE else { return }
        printError("shunt: \(outputFailure(code))")
        _exit(ErrorCode.ioFailed.exitCode)
    }

    /// Writes the printed text that is still in the buffer.
    /// - Throws: `io.failed`, except if the reader has gone.
    static func flushOutput() throws(ShuntError) {
        let code = linux_flush_output()
        guard code != 0 else { return }
        linux_forget_output_errors()
        if code != EPIPE { throw outputFailure(code) }
    }

    private static func outputFailure(_ code: Int32) -> ShuntError {
        ShuntError(.ioFailed, "standard output cannot be written: \(String(cString: strerror(code)).lowercased())")
    }

    /// A `COLUMNS` that leaves no room for a word is ignored: help then takes the terminal's or the standard width.
    private static func repairColumns() {
        guard let text = getenv("COLUMNS") else { return }
        if Int(String(cString: text)).map({ $0 < 20 }) ?? true { unsetenv("COLUMNS") }
    }
}

/// The arguments as the system gave them: any bytes.
struct RawArguments: Sendable {
    static let process = RawArguments(
        CommandLine.unsafeArgv.withMemoryRebound(to: UnsafeMutablePointer<CChar>?.self, capacity: Int(CommandLine.argc)) { all in
            (0..<Int(CommandLine.argc)).compactMap {
                all[$0].map { text in Array(UnsafeBufferPointer(start: text, count: strlen(text))).map(UInt8.init(bitPattern:)) }
            }
        })

    private let arguments: [[UInt8]]

    init(_ arguments: [[UInt8]]) { self.arguments = arguments }

    /// Only the payload of `pub` may be other than UTF-8: every other argument is a name, and would be changed unseen.
    var fault: ShuntError? {
        guard arguments.dropFirst().first != Array("pub".utf8), let wrong = notUTF8.first else { return nil }
        return Self.fault(wrong)
    }

    private var notUTF8: [[UInt8]] { arguments.dropFirst().filter { String(validating: $0, as: UTF8.self) == nil } }

    /// The bytes of an argument that was parsed as this text.
    /// - Throws: `usage` where another argument is not UTF-8.
    func bytes(of text: String?) throws(ShuntError) -> [UInt8]? {
        let wrong = notUTF8
        guard !wrong.isEmpty else { return text.map { Array($0.utf8) } }
        let matching = wrong.filter { String(decoding: $0, as: UTF8.self) == text }
        guard matching.count == wrong.count, matching.count == 1 else { throw Self.fault(wrong[0]) }
        return matching[0]
    }

    private static func fault(_ argument: [UInt8]) -> ShuntError {
        let shown = String(String(decoding: argument, as: UTF8.self).unicodeScalars.prefix(60).filter { $0.value >= 0x20 })
        return ShuntError(
            .usage, "an argument is not UTF-8: '\(shown)'",
            help: "only the payload of 'shunt pub TOPIC PAYLOAD' may be any bytes")
    }
}
