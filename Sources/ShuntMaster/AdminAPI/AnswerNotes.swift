import ShuntCore
import ShuntHTTP

/// The remarks that come with answers, in the header field `Shunt-Note`: what a reader should know, and the answer does not say.
struct AnswerNotes {
    let status: @Sendable () -> MasterStatus
    let settle: AdminServer.SettleRegistry

    /// A command is answered once the registry has what it changed, so that the next question's answer has it. What a standby lists comes with a word
    /// about who serves.
    func added(to route: HTTPRoute) -> HTTPRoute {
        switch route.need {
        case .nothing: route
        case .operate: route.noted { [settle] in await settle().map { "the command is performed, but lists do not show it yet: \($0.message)" } }
        case .read where route.path == "/api/v1/status": route
        case .read: route.noted { [status] in status().role.flatMap(Self.standby) }
        }
    }

    /// nil where this master serves.
    static func standby(_ role: MasterRoleRecord) -> String? {
        guard role.role != "serving" else { return nil }
        return role.serving.map { "this master is standby and \($0) serves: ask that one, this one does not know how the cluster is" }
            ?? "this master is standby and hears none that serves: it does not know how the cluster is"
    }
}
