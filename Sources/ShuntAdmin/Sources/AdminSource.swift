import ShuntConfig
import ShuntCore
import ShuntHTTP
import ShuntRegistry

/// What can be asked.
enum AdminRequest: Equatable, Sendable {
    case workers(WorkerQuery)
    case worker(String)
    case events(EventQuery)
    case query(String)
}

/// Who answers, in the admin API's JSON.
protocol AdminSource: Sendable {
    /// As people know it.
    var name: String { get }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8]
}

/// The registry's file.
struct RegistrySource: AdminSource {
    private let reader: RegistryReader

    init(path: String) throws(ShuntError) {
        reader = try RegistryReader.open(path: path)
    }

    var name: String { reader.path }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8] {
        switch request {
        case .workers(let query): try encode(await reader.workers(query))
        case .worker(let name): try encode(await reader.worker(name))
        case .events(let query): try encode(await reader.events(query))
        case .query(let sql): try encode(await reader.query(sql))
        }
    }

    private func encode(_ value: some Encodable) throws(ShuntError) -> [UInt8] {
        do {
            return try RegistryJSON.encode(value)
        } catch {
            throw ShuntError(.internalError, "the answer cannot be written as JSON: \(error)", at: name)
        }
    }
}

/// A master's admin API.
struct APISource: AdminSource {
    let address: NetworkAddress

    var name: String { address.description }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8] {
        let (method, target, body) = Self.encode(request)
        let answer = try await HTTPClient.send(method, target, body: body, to: address)
        if answer.status == 200, answer.contentType == "application/json" { return answer.body }
        if answer.contentType == ProblemDetails.mediaType,
            let problem = try? RegistryJSON.decode(ProblemDetails.self, from: answer.body)
        {
            throw problem.error
        }
        throw ShuntError(
            .masterUnavailable, "what answers there is not a Shunt master (HTTP status \(answer.status))", at: name,
            help: "give the master's admin address with --master (master.admin.listen in its configuration)")
    }

    private static func encode(_ request: AdminRequest) -> (method: String, target: String, body: [UInt8]) {
        switch request {
        case .workers(let query):
            let state = query.state.map { "&state=\($0.rawValue)" } ?? ""
            return ("GET", "/api/v1/workers?limit=\(query.limit)&offset=\(query.offset)" + state, [])
        case .worker(let name):
            return ("GET", "/api/v1/workers/" + QueryString.encode(name), [])
        case .events(let query):
            let after = query.after.map { "&after=\($0)" } ?? ""
            let kind = query.kind.map { "&kind=\($0.rawValue)" } ?? ""
            return ("GET", "/api/v1/events?limit=\(query.limit)" + after + kind, [])
        case .query(let sql):
            // A dictionary of two strings: there is nothing in it that cannot be encoded.
            return ("POST", "/api/v1/query", (try? RegistryJSON.encode(["sql": sql])) ?? [])
        }
    }
}
