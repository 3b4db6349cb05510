import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/refused`: the clients that workers have refused.
enum RefusedRoutes {
    static func list(_ ask: @escaping AdminServer.AskRefused) -> HTTPRoute {
        let sheet = RouteSheet(
            "Lists clients that workers have refused, the latest first.", RefusedList.self, gives: "The refused clients.", errors: .workers)
        let parameters: [HTTPParameter] = [
            .limit(RefusedQuery.maximumLimit),
            HTTPParameter("address", .addresses, "Only clients from this address, or from a range such as `10.0.0.0/8`."),
            HTTPParameter("user", "Only clients that gave this user name."),
        ]
        return HTTPRoute(.get, "/api/v1/refused", sheet, parameters: parameters) { call in
            let query = RefusedQuery(limit: call.limit, addresses: try addresses(call), user: call.parameters["user"])
            return .json(try RecordJSON.encode(try await ask(query).get()))
        }
    }

    private static func addresses(_ call: HTTPCall) throws(ShuntError) -> AddressRange? {
        guard let text = call.parameters["address"] else { return nil }
        guard let addresses = AddressRange(text) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' is no address", at: "address", help: "an address, perhaps with a prefix length as in 10.0.0.0/8")
        }
        return addresses
    }
}
