import FoundationEssentials
import RawHTTP
import Testing

@testable import ShuntMaster

@Suite struct DashboardTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/CDashboard/page")

    private static func text(_ file: DashboardFile) -> String { String(decoding: file.bytes, as: UTF8.self) }

    @Test("The binary has each file of the folder, as it stands there")
    func files() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
        #expect(DashboardRoutes.files.map(\.name).sorted() == names.sorted())
        for file in DashboardRoutes.files {
            #expect(try Data(contentsOf: Self.folder.appending(path: file.name)) == Data(file.bytes), "\(file.name)")
        }
    }

    @Test("Each file is served with its type, a tag, and a policy that lets nothing else in")
    func answers() async throws {
        try await serving { fixture async throws in
            for file in DashboardRoutes.files {
                let answer = try await fixture.get(file.path)
                #expect(answer.status == 200)
                #expect(answer.body.utf8.count == file.bytes.count)
                #expect(answer.headers["content-type"] == file.type)
                #expect(answer.headers["content-security-policy"] == DashboardRoutes.policy)
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                #expect(answer.headers["cache-control"] == "no-cache")
                #expect(answer.headers["etag"]?.hasPrefix("\"") == true)
            }
            let tags = try await tags(fixture)
            #expect(Set(tags).count == DashboardRoutes.files.count)
            #expect(!DashboardRoutes.policy.contains("unsafe"))
        }
    }

    private func tags(_ fixture: Fixture) async throws -> [String] {
        var tags: [String] = []
        for file in DashboardRoutes.files { tags.append(try await fixture.get(file.path).headers["etag"] ?? "") }
        return tags
    }

    @Test("A browser that has the page is told so, and HEAD has the length alone")
    func held() async throws {
        try await serving { fixture async throws in
            let page = try await fixture.get("/")
            let tag = try #require(page.headers["etag"])
            for (held, status) in [(tag, 304), ("W/\(tag)", 304), ("\"other\", \(tag)", 304), ("*", 304), ("\"other\"", 200)] {
                let answer = try await RawHTTP.exchange(
                    "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nIf-None-Match: \(held)\r\n\r\n", port: fixture.endpoint.port)
                #expect(answer.status == status, "\(held)")
                #expect(answer.body.isEmpty == (status == 304), "\(held)")
                #expect(answer.headers["etag"] == tag)
            }
            let head = try await RawHTTP.get("/", method: "HEAD", port: fixture.endpoint.port)
            #expect(head.status == 200)
            #expect(head.headers["content-length"] == page.headers["content-length"])
            #expect(head.body.isEmpty)
        }
    }

    @Test("Data is never kept, and another server's name is refused for the page too")
    func neighbours() async throws {
        try await serving { fixture async throws in
            let status = try await fixture.get("/api/v1/status")
            #expect(status.headers["cache-control"] == "no-store")
            #expect(status.headers["etag"] == nil)
            let stranger = try await RawHTTP.exchange(
                "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", port: fixture.endpoint.port)
            #expect(stranger.status == 421)
            #expect(try await fixture.send("DELETE", "/").status == 405)
            #expect(try await fixture.get("/dashboard/other.js").status == 404)
        }
    }

    @Test(
        "Another server's page gives no commands, whoever opens it",
        arguments: [
            ("http://localhost", 200), ("http://LOCALHOST", 200), ("http://evil.example", 403), ("http://localhost:1", 403), ("null", 403), ("", 403),
        ])
    func origins(origin: String, status: Int) async throws {
        try await serving { fixture async throws in
            let answer = try await RawHTTP.exchange(
                "DELETE /api/v1/chats/room2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nOrigin: \(origin)\r\n\r\n",
                port: fixture.endpoint.port)
            #expect(answer.status == status)
            #expect(fixture.closing.asked.withLock { $0 } == (status == 200 ? ["room2"] : []))
            #expect(answer.body.contains("access.denied") == (status == 403))
        }
    }

    @Test(
        "The page gives commands behind a proxy that ends TLS, and one that the browser itself calls the same; so do programs, which send no Origin",
        arguments: [
            "Host: localhost\r\nOrigin: https://localhost", "Host: localhost:443\r\nOrigin: https://localhost",
            "Host: localhost:80\r\nOrigin: http://localhost", "Host: localhost:8443\r\nOrigin: https://localhost:8443",
            "Host: 127.0.0.1:4080\r\nOrigin: https://ops.example\r\nSec-Fetch-Site: same-origin", "Host: localhost",
        ])
    func proxies(fields: String) async throws {
        try await serving { fixture async throws in
            let answer = try await RawHTTP.exchange(
                "DELETE /api/v1/chats/room2 HTTP/1.1\r\nConnection: close\r\n\(fields)\r\n\r\n", port: fixture.endpoint.port)
            #expect(answer.status == 200)
        }
    }

    @Test(
        "What another page says of itself counts for nothing",
        arguments: [
            "Host: localhost:443\r\nOrigin: http://localhost", "Host: localhost\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-site",
            "Host: localhost\r\nOrigin: http://evil.example://localhost",
            "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil.example",
            "Host: localhost\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
        ])
    func strangers(fields: String) async throws {
        try await serving { fixture async throws in
            let answer = try await RawHTTP.exchange(
                "DELETE /api/v1/chats/room2 HTTP/1.1\r\nConnection: close\r\n\(fields)\r\n\r\n", port: fixture.endpoint.port)
            #expect(answer.status == 403)
        }
    }

    @Test("The page loads its own files alone, and makes no markup of texts")
    func sources() throws {
        let names = Set(DashboardRoutes.files.map(\.name))
        for file in DashboardRoutes.files {
            let text = Self.text(file)
            for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=\"", "onclick=\""] {
                #expect(!text.contains(forbidden), "\(file.name): \(forbidden)")
            }
            // A namespace's name is no address that is asked.
            let addresses = text.replacing("http://www.w3.org/2000/svg", with: "")
            #expect(!addresses.contains("http://") && !addresses.contains("https://"), "\(file.name)")
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 451, "\(file.name)")
            for match in text.matches(of: #/from "\.\/([^"]+)"/#) {
                #expect(names.contains(String(match.output.1)), "\(file.name) imports \(match.output.1)")
            }
        }
    }
}
