import Glibc
import ShuntCore

/// A file that holds secrets, as it was read.
public struct SecretText: Sendable {
    public let path: String
    public let text: String
    /// What is wrong with the file's mode, for a warning.
    public let warning: ShuntError?

    /// - Throws: `config.missing`, `config.invalid` or `config.range` with the path. The text is in no error.
    public init(path: String) throws(ShuntError) {
        text = try ConfigFile.text(of: path)
        self.path = path
        warning = Self.warning(about: path)
    }

    /// What is wrong with the mode of a file that is for its owner; nil where nothing is.
    public static func warning(about path: String) -> ShuntError? {
        var about = stat()
        guard stat(path, &about) == 0, about.st_mode & 0o007 != 0 else { return nil }
        return ShuntError(.accessDenied, "every user of this machine may read or write the file", at: path, help: "chmod o= it")
    }
}
