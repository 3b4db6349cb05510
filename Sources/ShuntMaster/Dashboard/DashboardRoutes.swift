import CDashboard
import ShuntHTTP

/// The operators' page: `/`, and below `/dashboard/` the files that it loads.
///
/// There is no data in them, so everybody may have them. The page asks the admin API with the token that its user gives it.
enum DashboardRoutes {
    static var all: [HTTPRoute] {
        files.map { file in HTTPRoute(.get, file.path, need: .nothing) { _ in file.response } }
    }

    /// All that the binary has.
    static var files: [DashboardFile] {
        var files: [DashboardFile] = []
        while let file = DashboardFile(number: files.count) { files.append(file) }
        return files
    }

    /// Nothing but the page's own files and the admin API is loaded; no text ever becomes markup; no other page may show this one in a frame.
    /// WebSocket may lead anywhere: the user of "Try" chooses a worker, whose address nobody knows beforehand.
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self' ws: wss:", "img-src data:", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
    ].joined(separator: "; ")
}

/// A file of the page.
struct DashboardFile: Sendable {
    let name: String
    private let number: Int

    init?(number: Int) {
        guard let name = dashboard_file_at(number).name else { return nil }
        (self.name, self.number) = (String(cString: name), number)
    }

    /// Copied out of the binary each time: they are asked for seldom.
    var bytes: [UInt8] {
        let file = dashboard_file_at(number)
        return Array(UnsafeBufferPointer(start: file.bytes, count: file.count))
    }

    var path: String { name == "index.html" ? "/" : "/dashboard/\(name)" }

    var type: String {
        switch name.split(separator: ".").last {
        case "html": "text/html; charset=utf-8"
        case "css": "text/css; charset=utf-8"
        default: "text/javascript; charset=utf-8"
        }
    }

    var response: HTTPResponse {
        var response = HTTPResponse.file(bytes, type: type)
        response.headers["Content-Security-Policy"] = DashboardRoutes.policy
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response
    }
}
