import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/step-down` and `/api/v1/serve`: which master serves.
struct RoleRoutes {
    let status: @Sendable () -> MasterStatus
    let change: AdminServer.ChangeRole
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [route(.stepDown), route(.serve)] }

    private func route(_ wanted: RoleChange) -> HTTPRoute {
        let summary =
            wanted == .stepDown ? "Has this master, which serves, make way for another." : "Has this standby serve, though too few workers are at it."
        let sheet = RouteSheet(
            summary, MasterRoleRecord.self, gives: "Which master serves.", errors: [.requestUnsupported, .masterStandby, .masterUnavailable])
        return HTTPRoute(.post, "/api/v1/\(wanted.rawValue)", sheet, need: .operate) { [status, change, record] call in
            let error = await change(wanted)
            record(call.caller, wanted.rawValue, error)
            if let error { throw error }
            return .json(try RecordJSON.encode(status().role))
        }
    }
}
