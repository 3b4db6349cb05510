import CDashboard
import ShuntHTTP

/// The operators' page: `/`, and below `/dashboard/` the files that it loads.
///
/// There is no data in them, so everybody may have them. The page asks the admin API with the token that its user gives it.
enum DashboardRoutes {
    struct File: Sendable {
        var name: String
        var bytes: [UInt8]

        var path: String { name == "index.html" ? "/" : "/dashboard/\(name)" }

        var type: String {
            switch name.split(separator: ".").last {
            case "html": "text/html; charset=utf-8"
            case "css": "text/css; charset=utf-8"
            default: "text/javascript; charset=utf-8"
            }
        }
    }

    /// Nothing but the page's own files and the admin API is loaded; no text ever becomes markup; no other page may show this one in a frame.
    static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src data:", "base-uri 'none'",
        "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
    ].joined(separator: "; ")

    static let all: [HTTPRoute] = files.map { file in
        var response = HTTPResponse.file(file.bytes, type: file.type)
        response.headers["Content-Security-Policy"] = policy
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return HTTPRoute(.get, file.path, need: .nothing) { [response] _ in response }
    }

    static var files: [File] {
        var files: [File] = []
        while true {
            let file = dashboard_file_at(files.count)
            guard let name = file.name else { return files }
            files.append(File(name: String(cString: name), bytes: Array(UnsafeBufferPointer(start: file.bytes, count: file.count))))
        }
    }
}
