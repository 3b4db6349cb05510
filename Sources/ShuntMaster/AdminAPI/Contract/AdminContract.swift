import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry
import Synchronization

/// `/api/v1/openapi.json`: the admin API's contract, made of what the routes declare.
///
/// A new route declares its parameters, its body and its ``RouteSheet``; the members of a new record get a note in ``AdminContract/notes``, and a
/// new code a text in ``AdminContract/errors``. Tests hold the rest: that nothing is left out, docs/openapi.json, and docs/admin-api.md.
enum AdminContract {
    static let document = OpenAPIDocument(title: "Shunt admin API", version: "1", text: text, notes: notes, errors: errors)

    /// What a worker's name in a path is.
    static let workerSegment = """
        The worker's name or `host:port`; or its `configured_name`, its host, or the beginning of either name, where only one worker has it.
        """

    /// The schema of a body: members that it does not have are an error.
    static func request<Record: Decodable>(_ type: Record.Type, omitting: Set<String> = []) -> JSONSchema {
        var schema = JSONSchema(of: type, notes: notes, isRequest: true, omitting: omitting)
        schema.name = schema.name.map { $0.hasSuffix("Request") ? $0 : $0 + "Request" }
        return schema
    }

    /// The routes with the one that serves their document, which is made when it is first asked for.
    static func described(_ routes: [HTTPRoute]) -> [HTTPRoute] {
        let made = Mutex<[UInt8]?>(nil)
        let sheet = RouteSheet("Gives this document.", .anyJSON, gives: "An OpenAPI 3.1 document.")
        let path = "/api/v1/openapi.json"
        let declared = routes + [HTTPRoute(.get, path, sheet, need: .nothing) { _ in .text("") }]
        let route = HTTPRoute(.get, path, sheet, need: .nothing) { _ in
            let bytes = try made.withLock { made in
                if let made { return made }
                let bytes = try document.json(of: declared).encoded()
                made = bytes
                return bytes
            }
            return .file(bytes, type: "application/json")
        }
        return routes + [route]
    }

    private static let text = """
        Answers are JSON with snake_case keys. Times are seconds since 1970. Errors are problem details (RFC 9457) with a `code` to match on. \
        A parameter or a member of a body that this document does not name is an error. Answers may get more members in later versions. \
        In a path, names and ids are percent-encoded: `room/1` is `room%2F1`. Every path that takes GET takes HEAD too; another method is \
        answered 405 (`method.not_allowed`), another path 404 (`not_found`). `docs/admin-api.md` tells the rest.
        """

    /// When a route answers with the code.
    static let errors: [ErrorCode: String] = [
        .requestInvalid: "a parameter or the body is wrong, or the request names no one host.",
        .filterInvalid: "the text is no topic filter.",
        .queryInvalid: "the SQL is wrong, or is not one statement; `location` is line and column.",
        .accessCredentials: "there is no token, or a wrong one.",
        .accessDenied: "the token only reads, and this is a command; or a web page of another server gives the command.",
        .registryReadOnly: "the SQL would do more than read.",
        .workerUnknown: "there is no such worker, or more than one.",
        .deviceUnknown: "there is no device of that uid.",
        .chatUnknown: "there is no such chat.",
        .clientUnknown: "no worker has such a client.",
        .banUnknown: "there is no such ban.",
        .requestUnsupported: "the worker is not one of Shunt's own, or of another version, and cannot do this.",
        .frameTooLarge: "the body is longer than 1 MiB.",
        .notFound: "no worker has such a trace.",
        .hostUnknown: "the `Host` of the request is another server's name.",
        .queryLimit: "the query took longer than 5 seconds, or one call of a function could.",
        .accessRate: "a wrong token, after too many from this address.",
        .internalError: "the master failed, and its log says why.",
        .registryInvalid: "the registry is damaged.",
        .registryUnavailable: "the registry cannot be read or written now, or too many queries wait already.",
        .connectionLost: "no worker is connected that could do it, or the master ends.",
        .masterUnavailable: "no other master answers this one.",
        .masterStandby: "this master stands by for another, which `detail` names.",
        .memoryLimit: "too many operators ask for this already.",
        .followerLimit: "as many programs follow events as may.",
    ]
}

/// The body of a query.
struct QueryRequest: Codable, Sendable {
    var sql: String
}

extension [ErrorCode] {
    /// Of routes that read the registry.
    static let registry: [ErrorCode] = [.registryInvalid, .registryUnavailable]
    /// Of routes that ask workers.
    static let workers: [ErrorCode] = [.workerUnknown, .connectionLost, .memoryLimit, .masterStandby]
    /// Of routes that answer with a worker's refusal as their own.
    static let commandedWorkers: [ErrorCode] = workers + [.requestUnsupported]
}

extension HTTPParameter.Form {
    /// A topic filter of MQTT, as `RetainedRequest.check` takes it.
    static let topicFilter = text(least: 1, pattern: #"^(\+|[^+#/\u0000]*)(/(\+|[^+#/\u0000]*)){0,126}(/#)?$|^#$"#)
    /// An address or a range of addresses. That the bits after the prefix are 0 no pattern says.
    static let addresses = text(pattern: "^(\(addressPattern))$")
    /// Who is banned, or may be.
    static let banSubject = text(pattern: "^((client|uid):[^\\u0000]{1,1017}|\(addressPattern))$")

    private static let addressPattern = #"([0-9]{1,3}\.){3}[0-9]{1,3}(/[0-9]{1,2})?|[0-9a-fA-F:]*:[0-9a-fA-F:.]*(/[0-9]{1,3})?"#
}

extension HTTPParameter {
    /// Of routes that read the registry.
    static let workerName = HTTPParameter("worker", "Only what this worker has; its whole name.")
    /// Of routes that ask workers.
    static let oneWorker = HTTPParameter("worker", "Asks this worker alone; its whole name. Without it all workers are asked.")
}
