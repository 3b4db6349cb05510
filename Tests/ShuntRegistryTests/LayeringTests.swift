import Foundation
import Testing

@Suite struct LayeringTests {
    @Test("SQLite is known in one folder: no other file imports GRDB, nor says what it declares")
    func oneFolder() throws {
        let sources = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Sources").standardizedFileURL
        let files = try #require(FileManager.default.enumerator(at: sources, includingPropertiesForKeys: nil))
        var importing = 0
        for case let file as URL in files where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            let isWithin = file.path.contains("/ShuntRegistry/SQLite/")
            let imports = text.split(separator: "\n").contains { $0.contains("import ") && $0.contains("GRDB") }
            if imports { importing += 1 }
            #expect(!imports || isWithin, "\(file.path)")
            if !isWithin { #expect(!text.contains("SQLiteStore") && !text.contains("SQLiteReader"), "\(file.path)") }
        }
        #expect(importing > 0)
    }
}
