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
        let sheet = RouteSheet(
            "Lists the workers' retained messages by topic and worker, without payloads.", RetainedList.self,
            gives: "A page of the retained messages.", errors: .workers + [.filterInvalid])
        let parameters: [HTTPParameter] = [
            HTTPParameter("filter", .topicFilter, "Only topics that this topic filter takes; `#` without it."), .limit(RetainedRequest.maximumLimit),
            HTTPParameter("after", .text(pattern: "^[^ ]* "), "Where to go on: the `next_after` of the page before."),
        ]
        return HTTPRoute(.get, "/api/v1/retained", sheet, parameters: parameters) { [ask] call in
            let place = call.parameters["after"].map { RetainedPlace($0) }
            if case .some(nil) = place {
                throw ShuntError(.requestInvalid, "'after' is no place in the list", at: "after", help: "give what 'next_after' was")
            }
            let request = RetainedRequest.list(
                filter: try Self.filter(call) ?? RetainedRequest.everything, after: place ?? nil, limit: call.limit)
            return try Self.response(await ask(request))
        }
    }

    private var clearRetained: HTTPRoute {
        let sheet = RouteSheet(
            "Has all workers forget retained messages.", ClearedRetained.self, gives: "How many they have forgotten.",
            errors: .workers + [.filterInvalid])
        let filter = HTTPParameter(
            "filter", .topicFilter, "The topic filter of the messages to forget.", wanted: "give ?filter=sensors/%23; %23 is #, which takes all")
        return HTTPRoute(.delete, "/api/v1/retained", sheet, parameters: [filter], need: .operate) { [ask, record] call in
            let filter = try Self.filter(call) ?? ""
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
