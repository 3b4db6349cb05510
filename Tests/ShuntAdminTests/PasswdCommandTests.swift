import FoundationEssentials
import Glibc
import ShuntAccess
import ShuntCore
import Testing

@testable import ShuntAdmin

@Suite("shunt admin passwd")
struct PasswdCommandTests {
    /// A folder with a password in a file, and the path of a password file that is not there yet.
    private func withFolder(_ body: (_ file: String, _ secret: String) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "shunt-passwd-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let secret = folder.appending(path: "secret").path
        try Data("correct horse\r\nsecond line\n".utf8).write(to: URL(filePath: secret))
        try await body(folder.appending(path: "passwords").path, secret)
        // No half-written file stays.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { ["secret", "passwords", "link"].contains($0) })
    }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test("a file is made for its owner alone, users are added, changed and deleted, and a mode that was set stays")
    func edits() async throws {
        try await withFolder { file, secret async throws in
            #expect(try await run(["passwd", file, "ann", "--password-file", secret]) == Outcome(output: "", errors: "added ann\n", exitCode: 0))
            #expect(mode(file) == 0o600)
            #expect(try verified(file, "ann", "correct horse"))
            #expect(try !verified(file, "ann", "second line"))
            #expect(chmod(file, 0o640) == 0)
            #expect(try await run(["passwd", file, "bob", "--password-file", secret]).errors == "added bob\n")
            #expect(try await run(["passwd", file, "ann", "--password-file", secret]).errors == "changed ann\n")
            #expect(mode(file) == 0o640)
            #expect(try await run(["passwd", file, "ann", "--delete"]).errors == "deleted ann\n")
            #expect(try !verified(file, "ann", "correct horse"))
            #expect(try verified(file, "bob", "correct horse"))
        }
    }

    @Test("a link stays a link")
    func links() async throws {
        try await withFolder { file, secret async throws in
            try Data().write(to: URL(filePath: file))
            let link = URL(filePath: file).deletingLastPathComponent().appending(path: "link").path
            #expect(symlink(file, link) == 0)
            #expect(try await run(["passwd", link, "ann", "--password-file", secret]).exitCode == 0)
            #expect(try verified(file, "ann", "correct horse"))
            #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == file)
        }
    }

    @Test("what cannot be done is an error, and nothing changes")
    func refusals() async throws {
        try await withFolder { file, secret async throws in
            for (arguments, code) in [
                (["passwd", file, "a:b", "--password-file", secret], 78), (["passwd", file, "ann", "--delete"], 65),
                (["passwd", file, "ann", "--password-file", file], 74), (["passwd", file + "/x", "ann", "--password-file", secret], 74),
                (["passwd", file, "ann", "--password-file", "/dev/null"], 64),
            ] as [([String], Int32)] {
                let outcome = try await run(arguments)
                #expect(outcome.errors.hasPrefix("shunt: "), "\(outcome)")
                #expect(outcome.exitCode == code, "\(outcome)")
            }
            #expect(access(file, F_OK) != 0)
        }
    }

    @Test("a file that is no password file stays as it is, and a wrong line of a user is mended")
    func otherFiles() async throws {
        try await withFolder { file, secret async throws in
            for text in ["127.0.0.1 localhost\n", "bob:plain\nann:plain\n"] {
                try Data(text.utf8).write(to: URL(filePath: file))
                let outcome = try await run(["passwd", file, "ann", "--password-file", secret])
                #expect(outcome.exitCode == 78 && outcome.errors.hasPrefix("shunt: \(file):1: "), "\(outcome)")
                #expect(try Data(contentsOf: URL(filePath: file)) == Data(text.utf8))
            }
            #expect(try await run(["passwd", file, "bob", "--delete"]).exitCode == 0)
            #expect(try await run(["passwd", file, "ann", "--password-file", secret]).errors == "changed ann\n")
            #expect(try verified(file, "ann", "correct horse"))
        }
    }

    private func verified(_ path: String, _ user: String, _ password: String) throws -> Bool {
        let text = try String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self)
        let file = try PasswordFile(text, name: path)
        return Array(password.utf8).withUnsafeBytes { file.verify(user: user, password: $0) }
    }
}
