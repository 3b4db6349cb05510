import ArgumentParser
import Glibc
import ShuntCore
import ShuntRules

/// `shunt rule definitions`: what an editor's language server needs to know of rules.
struct RuleDefinitions: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "definitions",
        abstract: "Writes what editors need to know of rules: names, types, meanings.",
        discussion: """
            For the Lua language server (LuaLS), which many editors have: it completes and explains, and warns of what does not exist. The \
            command writes library/shunt.lua, over an earlier one, and .luarc.json, unless there is one.

              shunt rule definitions --in plugins/..     into the folder that you open in the editor
              shunt rule definitions --print             to standard output

            Write ---@type shunt.Rule above local R, so that hooks have the types of their parameters.

            Exit codes: 0 written, 74 the files cannot be written.
            """)

    @Option(name: .customLong("in"), help: ArgumentHelp("The folder that the editor opens.", valueName: "folder"), completion: .directory)
    var directory = "."

    @Flag(name: .customLong("print"), help: "Print the definitions instead.")
    var prints = false

    func run() throws {
        do throws(ShuntError) {
            if prints {
                print(LuaDefinitions.text, terminator: "")
            } else {
                try write()
            }
            try CommandLineProcess.flushOutput()
        } catch {
            throw fail([error])
        }
    }

    private func write() throws(ShuntError) {
        let library = directory + "/library"
        guard mkdir(library, 0o777) == 0 || errno == EEXIST else { throw Self.failure(library) }
        try Self.write(LuaDefinitions.text, to: library + "/shunt.lua", flags: O_TRUNC)
        print(PrintableText.of(library + "/shunt.lua"))
        let settings = directory + "/.luarc.json"
        guard access(settings, F_OK) != 0 else {
            return print(PrintableText.of("\(settings) is there already: its \"workspace.library\" wants \"library\""))
        }
        try Self.write(LuaDefinitions.settings, to: settings, flags: O_EXCL)
        print(PrintableText.of(settings))
    }

    private static func write(_ text: String, to path: String, flags: Int32) throws(ShuntError) {
        let file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0o666)
        guard file >= 0 else { throw failure(path) }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count else { throw failure(path) }
    }

    private static func failure(_ path: String) -> ShuntError {
        ShuntError(.ioFailed, "\(path) cannot be written: \(String(cString: strerror(errno)))")
    }
}
