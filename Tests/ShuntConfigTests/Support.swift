import Foundation
import ShuntCore
import Testing

@testable import ShuntConfig

/// Loads a configuration from YAML in a file of its own.
func load(
    _ yaml: String? = nil, environment: [String: String] = [:], sets: [String] = []
) throws(ConfigurationErrors) -> Configuration {
    guard let yaml else { return try Configuration.load(file: nil, environment: environment, sets: sets, hostName: "host-1") }
    let file = TemporaryFile(yaml)
    defer { file.remove() }
    return try Configuration.load(file: file.path, environment: environment, sets: sets, hostName: "host-1")
}

/// The errors of a load, their places without the file's folder.
func errors(
    _ yaml: String? = nil, environment: [String: String] = [:], sets: [String] = []
) -> [ShuntError] {
    do throws(ConfigurationErrors) {
        _ = try load(yaml, environment: environment, sets: sets)
        return []
    } catch {
        return error.errors.map { error in
            var short = error
            if let location = error.location, let slash = location.lastIndex(of: "/") {
                short.location = String(location[location.index(after: slash)...])
            }
            return short
        }
    }
}

struct TemporaryFile {
    let folder = FileManager.default.temporaryDirectory.appending(path: "shunt-config-\(UUID().uuidString)")
    var path: String { folder.appending(path: "test.yaml").path }

    init(_ text: String) { self.init(bytes: Array(text.utf8)) }

    init(bytes: [UInt8]) {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try Data(bytes).write(to: URL(filePath: path))
        } catch {
            Issue.record("no temporary file: \(error)")
        }
    }

    func remove() { try? FileManager.default.removeItem(at: folder) }
}

/// The repository's folder of configurations.
let configFolder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "config")
