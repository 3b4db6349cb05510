import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/retained`: what the workers retain. Metadata only: no payload comes this way.
struct RetainedRoutes {
    let ask: AdminServer.AskRetained
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [listRetained, clearRetained] }

    private var listRetained: HTTPRoute {
        HTTPRoute(.get, "/api/v1/retained", parameters: ["filter", "limit", "after"]) { [ask] call in
            let place = call.parameters["after"].map { RetainedPlace($0) }
            if case .some(nil) = place {
                throw ShuntError(.requestInvalid, "'after' is no place in the list", at: "after", help: "give what 'next_after' was")
            }
            let request = RetainedRequest.list(
                filter: try Self.filter(call) ?? RetainedRequest.everything, after: place ?? nil,
                limit: try call.integer("limit", in: 1...RetainedRequest.maximumLimit, default: 100))
            return try Self.response(await ask(request))
        }
    }

    private var clearRetained: HTTPRoute {
        HTTPRoute(.delete, "/api/v1/retained", parameters: ["filter"], need: .operate) { [ask, record] call in
            guard let filter = try Self.filter(call) else {
                throw ShuntError(.requestInvalid, "there is no filter", at: "filter", help: "give ?filter=sensors/%23; %23 is #, which takes all")
            }
            let answer = await ask(.clear(filter: filter))
            var refusal: ShuntError?
            if case .failure(let error) = answer { refusal = error }
            record(call.caller, "retained --clear \(filter)", refusal)
            return try Self.response(answer)
        }
    }

    private static func filter(_ call: HTTPCall) throws(ShuntError) -> String? {
        guard let filter = call.parameters["filter"] else { return nil }
        do throws(ShuntError) {
            try RetainedRequest.check(filter)
        } catch {
            throw ShuntError(error.code, error.message, at: "filter", help: error.help)
        }
        return filter
    }

    private static func response(_ answer: Result<RetainedOutcome, ShuntError>) throws -> HTTPResponse {
        switch try answer.get() {
        case .list(let list): .json(try RecordJSON.encode(list))
        case .cleared(let cleared): .json(try RecordJSON.encode(cleared))
        }
    }
}
