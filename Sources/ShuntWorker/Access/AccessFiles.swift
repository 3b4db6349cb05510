import ShuntAccess
import ShuntConfig
import ShuntCore

/// The files of access that have been read, by path: one that several listeners name is read once.
struct AccessFiles {
    /// What is wrong with files that can be used.
    private(set) var warnings: [ShuntError] = []
    private var passwords: [String: PasswordFile] = [:]
    private var acls: [String: ACLFile] = [:]
    private var rules: [String: AccessRules] = [:]
    private var keys: [String: TokenKeys] = [:]
    private var authorities: [String: [UInt8]] = [:]

    mutating func passwords(_ path: String, _ key: String) throws(ShuntError) -> PasswordFile {
        if passwords[path] == nil, let warning = SecretText.warning(about: path) { warnings.append(warning) }
        return try Self.read(path, key, PasswordFile.maximumSize, missing: "`shunt admin passwd \(path) USER` makes it", &passwords) {
            (text) throws(ConfigurationErrors) in
            try PasswordFile(text, name: path)
        }
    }

    mutating func acl(_ path: String, _ key: String) throws(ShuntError) -> ACLFile {
        try Self.read(path, key, ACLFile.maximumSize, &acls) { (text) throws(ConfigurationErrors) in try ACLFile(text, name: path) }
    }

    mutating func rules(_ path: String, _ key: String) throws(ShuntError) -> AccessRules {
        try Self.read(path, key, AccessRules.maximumSize, &rules) { (text) throws(ConfigurationErrors) in try AccessRules(text, name: path) }
    }

    mutating func keys(_ path: String, _ key: String) throws(ShuntError) -> TokenKeys {
        try Self.read(path, key, TokenKeys.maximumSize, &keys) { (text) throws(ConfigurationErrors) in
            do throws(ShuntError) { return try TokenKeys(text, name: path) } catch { throw ConfigurationErrors(error) }
        }
    }

    /// PEM of who may sign a server's certificate.
    mutating func authorities(_ path: String, _ key: String) throws(ShuntError) -> [UInt8] {
        try Self.read(path, key, 1 << 20, &authorities) { (text) throws(ConfigurationErrors) in
            guard text.contains("-----BEGIN CERTIFICATE-----") else {
                throw ConfigurationErrors(ShuntError(.configInvalid, "\(path) has no certificate", at: key, help: "a file with PEM"))
            }
            return Array(text.utf8)
        }
    }

    /// - Parameters:
    ///   - key: the setting that names the file: where one that is not there is an error.
    ///   - missing: what to do where there is no such file.
    /// - Throws: the errors of a file as one, which has the place of the first and the words of the others.
    private static func read<File>(
        _ path: String, _ key: String, _ maximum: Int, missing: String = "name a file that exists", _ known: inout [String: File],
        _ parse: (String) throws(ConfigurationErrors) -> File
    ) throws(ShuntError) -> File {
        if let file = known[path] { return file }
        let text: String
        do throws(ShuntError) {
            text = try ConfigFile.text(of: path, maximum: maximum, missing: missing)
        } catch {
            throw ShuntError(error.code, "\(path): \(error.message)", at: key, help: error.help)
        }
        do throws(ConfigurationErrors) {
            let file = try parse(text)
            known[path] = file
            return file
        } catch {
            guard var first = error.errors.first else { throw ShuntError(.configInvalid, "\(path) cannot be read", at: key) }
            let others = error.errors.dropFirst().prefix(9).map(\.description)
            if !others.isEmpty { first.help = ([first.help].compactMap { $0 } + others).joined(separator: "; ") }
            throw first
        }
    }
}
