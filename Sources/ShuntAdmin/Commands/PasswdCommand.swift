import ArgumentParser
import ShuntAccess
import ShuntConfig
import ShuntCore

/// `shunt admin passwd`: sets or deletes a user's password in a password file.
struct PasswdCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "passwd",
        abstract: "Set the password of a client, or delete the client, in a password file.",
        discussion: """
            The file is the one that access.password_file names, mosquitto's format; a new one is made for its owner alone (mode 0600). \
            The password is asked for on the terminal, else read from standard input or a file, up to the first line break. It is \
            hashed by yescrypt. Workers read the file again by SIGHUP.

              shunt admin passwd passwords alice
              shunt admin passwd passwords alice --password-file secret.txt
              openssl rand -base64 18 | tee secret.txt | shunt admin passwd passwords alice
              shunt admin passwd passwords alice --delete
            """)

    @Argument(help: "The password file.", completion: .file())
    var file: String

    @Argument(help: "The user: what a client gives as its user name.")
    var user: String

    @Flag(help: "Delete the user.")
    var delete = false

    @Option(help: ArgumentHelp("Read the password from the first line of this file.", valueName: "path"), completion: .file())
    var passwordFile: String?

    func validate() throws {
        guard !delete || passwordFile == nil else { throw ValidationError("--delete needs no password: leave --password-file out.") }
    }

    func report(on console: Console) async throws(ShuntError) {
        let secrets = SecretFile(path: file)
        if delete {
            let text = try secrets.read()
            guard let text else { throw ShuntError(.notFound, "there is no such file", at: file) }
            try secrets.replace(by: PasswordFile.removing(user, from: text))
            return console.writeError("deleted \(Text.printable(user))\n")
        }
        try PasswordFile.check(user: user)
        let password = try SecretInput(file: passwordFile, prompt: "Password for \(Text.printable(user))", console: console).read()
        let hash = try PasswordFile.hash(password)
        // The file is read as late as possible: somebody else may edit it while a password is typed.
        let text = try secrets.read() ?? ""
        let isNew = !PasswordFile.has(user, in: text)
        let changed = try PasswordFile.setting(user, to: hash, in: text)
        try check(changed)
        try secrets.replace(by: changed)
        console.writeError("\(isNew ? "added" : "changed") \(Text.printable(user))\n")
    }

    /// - Throws: the first error of a text that no worker would read: perhaps the file is another one than was meant.
    private func check(_ text: String) throws(ShuntError) {
        do throws(ConfigurationErrors) {
            _ = try PasswordFile(text, name: file)
        } catch {
            throw error.errors.first ?? ShuntError(.configInvalid, "no password file", at: file)
        }
    }
}
