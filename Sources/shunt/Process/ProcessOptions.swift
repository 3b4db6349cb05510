import ArgumentParser
import Glibc
import ShuntConfig
import ShuntCore

/// The options that `shunt dev`, `master` and `worker` share.
struct ProcessOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("The configuration, YAML. Without one every key has its default.", valueName: "file"),
        completion: .file())
    var config: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Sets one key over the file and the environment; may be repeated. The value is YAML: worker.loops=2, rules.enabled=[redact].",
            valueName: "key.path=value"))
    var sets: [String] = []

    @Option(
        help: ArgumentHelp("Written, whole, once everything listens: a JSON object with the process id and the real addresses.", valueName: "path"),
        completion: .file())
    var readyFile: String?

    @Flag(help: "Only checks the configuration and the rules, and warns of what stands open: 0 if all is right, 78 if not.")
    var check = false

    /// Reads the configuration: defaults, then the file, then SHUNT_* variables, then `--set`.
    func load() throws(ConfigurationErrors) -> Configuration {
        try Configuration.load(
            file: config, environment: ProcessEnvironment.variables, sets: sets, hostName: ProcessEnvironment.hostName)
    }
}

enum ProcessEnvironment {
    static var variables: [String: String] {
        var found: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if let equals = text.firstIndex(of: "=") {
                found[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            next += 1
        }
        return found
    }

    static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}

/// Seconds since 1970.
@Sendable func wallClock() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// Writes the error to standard error and ends with its exit code. Errors may hold text of servers, files and arguments.
func fail(_ errors: [ShuntError]) -> ExitCode {
    for error in errors.flatMap(\.all) { printError("shunt: \(PrintableText.of(error.description))") }
    return ExitCode(errors.first?.code.exitCode ?? 70)
}

func printError(_ text: String) {
    let line = Array((text + "\n").utf8)
    var offset = 0
    while offset < line.count {
        let count = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress.unsafelyUnwrapped + offset, line.count - offset) }
        guard count > 0 else { return }
        offset += count
    }
}
