import ShuntConfig
import ShuntCore

@testable import ShuntAccess

func bytes<Result>(_ text: String, _ body: (Bytes) -> Result) -> Result { Array(text.utf8).withUnsafeBytes(body) }

/// The errors of what `body` reads, as `place: message`.
func errors(_ body: () throws(ConfigurationErrors) -> Void) -> [String] {
    do throws(ConfigurationErrors) {
        try body()
        return []
    } catch {
        return error.errors.map { "\($0.location ?? ""): \($0.message)" }
    }
}
