import ArgumentParser
import FoundationEssentials
import ShuntCore
import ShuntRegistry

/// `shunt admin registry`: care for the master's file.
struct RegistryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "registry",
        abstract: "Check, copy or shrink the registry's file, while a master uses it.",
        discussion: """
              shunt admin registry check
              shunt admin registry backup /var/backups/registry.sqlite
              shunt admin registry vacuum
            """,
        subcommands: [CheckRegistry.self, BackUpRegistry.self, VacuumRegistry.self])
}

struct CheckRegistry: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Look at all of the registry's file, and say what is wrong with it.",
        discussion: """
            With --registry the file need not be in use. A file that is damaged ends with 78: restore a backup, or move it away, and workers fill a \
            new one.

              shunt admin registry check
              shunt admin registry check --registry var/registry.sqlite
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (found, json) = try await session.ask(.checkRegistry, as: RegistryCheck.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["fault"])
            for fault in found.faults { csv.append([fault]) }
            try session.write(csv)
        case .table:
            let name = "\(Text.printable(found.path)), \(Humane.bytes(found.bytes))"
            try session.console.write(found.faults.isEmpty ? "\(name): nothing is wrong\n" : "\(name):\n")
            for fault in found.faults { try session.console.write("  \(Text.printable(fault))\n") }
        }
        guard !found.faults.isEmpty else { return }
        throw ShuntError(
            .registryInvalid, "the registry is damaged", at: found.path,
            help: "restore a backup, or move the file away: workers fill a new registry within two heartbeats")
    }
}

struct BackUpRegistry: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "backup",
        abstract: "Copy the registry to another file, on the master's machine.",
        discussion: """
            The copy is a registry by itself, of one moment; the master goes on writing meanwhile. The command reads the \
            file: run it on the master's machine, as a user who may read it. Without --registry the master says where it is. \
            Nothing is written over.

              shunt admin registry backup /var/backups/registry.sqlite
              shunt admin registry backup copy.sqlite --registry var/registry.sqlite
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The new file.", completion: .file())
    var file: String

    func validate() throws {
        guard !file.isEmpty else { throw ValidationError("The new file's name is empty: give one such as /var/backups/registry.sqlite.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let path = try await source(session)
        let bytes = try Registry.backUp(path: path, to: file)
        switch session.output {
        case .json: try session.write(json: try session.json(of: BackUp(path: path, copy: file, bytes: bytes)))
        case .csv:
            var csv = CSV(header: ["path", "copy", "bytes"])
            csv.append([path, file, "\(bytes)"])
            try session.write(csv)
        case .table: try session.console.write("\(Text.printable(file)): \(Humane.bytes(bytes))\n")
        }
    }

    /// The file to copy.
    private func source(_ session: AdminSession) async throws(ShuntError) -> String {
        if let registry = options.registry { return registry }
        let path = try await session.ask(.status, as: StatusDocument.self).answer.registry.path
        guard FileManager.default.fileExists(atPath: path) else {
            throw ShuntError(
                .registryUnavailable, "the master's registry is not at this place here", at: path,
                help: "run this on the master's machine, or say where the file is with --registry")
        }
        // Another master's may be at the same place of another machine.
        let here = try await Registry.openReader(path: path).events(EventQuery(limit: 1)).registry
        guard try await session.ask(.events(EventQuery(limit: 1)), as: EventPage.self).answer.registry == here else {
            throw ShuntError(
                .registryUnavailable, "the registry at this place here is not the one of the master that was asked", at: path,
                help: "run this on the master's machine, or say which file with --registry")
        }
        return path
    }

    private struct BackUp: Encodable {
        var path: String
        var copy: String
        var bytes: Int
    }
}

struct VacuumRegistry: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "vacuum",
        abstract: "Have the master write its registry anew, without the room that nothing takes.",
        discussion: """
            Worth it after many clients or workers have gone for good: SQLite uses such room again, and gives none back by \
            itself. What happens meanwhile is written after. The disk needs room for a second file.

              shunt admin registry vacuum
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (done, json) = try await session.ask(.vacuumRegistry, as: RegistryVacuum.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["path", "bytes_before", "bytes"])
            csv.append([done.path, "\(done.bytesBefore)", "\(done.bytes)"])
            try session.write(csv)
        case .table:
            try session.console.write("\(Text.printable(done.path)): \(Humane.bytes(done.bytesBefore)), now \(Humane.bytes(done.bytes))\n")
        }
    }
}
