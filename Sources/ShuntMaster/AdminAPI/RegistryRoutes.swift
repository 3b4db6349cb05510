import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/registry`: care for the registry's file, while it is in use.
struct RegistryRoutes {
    let registry: any RegistryReader
    let vacuum: AdminServer.VacuumRegistry
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [check, postVacuum] }

    private var check: HTTPRoute {
        let sheet = RouteSheet("Looks at all of the registry's file.", RegistryCheck.self, gives: "What is wrong with it.", errors: .registry)
        return HTTPRoute(.get, "/api/v1/registry/check", sheet) { [registry] _ in .json(try RecordJSON.encode(try await registry.check())) }
    }

    private var postVacuum: HTTPRoute {
        let sheet = RouteSheet(
            "Writes the registry's file anew without the room that nothing takes.", RegistryVacuum.self, gives: "How much it was, and is.",
            errors: .registry)
        return HTTPRoute(.post, "/api/v1/registry/vacuum", sheet, need: .operate) { [vacuum, record] call in
            let result = await vacuum()
            record(call.caller, "registry vacuum", result.failure)
            return .json(try RecordJSON.encode(try result.get()))
        }
    }
}
