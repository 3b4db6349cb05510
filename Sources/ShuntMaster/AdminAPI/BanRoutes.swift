import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/bans`: who is kept out.
struct BanRoutes {
    let registry: any RegistryReader
    let change: AdminServer.ChangeBan
    let record: AdminServer.RecordCommand
    /// Seconds since 1970.
    let now: @Sendable () -> Double

    var all: [HTTPRoute] { [list, add, lift] }

    private var list: HTTPRoute {
        let sheet = RouteSheet("Lists bans by subject.", BanPage.self, gives: "A page of the bans.", errors: .registry)
        return HTTPRoute(.get, "/api/v1/bans", sheet, parameters: [.limit(BanPage.maximumLimit), .offset]) { [registry] call in
            .json(try RecordJSON.encode(try await registry.bans(limit: call.limit, offset: call.offset)))
        }
    }

    private var add: HTTPRoute {
        let sheet = RouteSheet(
            "Bans somebody, or changes a ban.", BanRecord.self,
            gives: "The ban, once all workers hold it and have closed its clients. It is in the registry then, or a note says that it is not.",
            errors: .registry + [.connectionLost, .memoryLimit, .masterStandby])
        let body = HTTPBody(AdminContract.request(BanRequest.self), example: #"{"subject": "client:c1", "seconds": 3600, "why": "…"}"#)
        return HTTPRoute(.post, "/api/v1/bans", sheet, body: body, need: .operate) { [change, record, now] call in
            let request = try call.record(BanRequest.self)
            let ban = Ban(
                try Self.subject(request.subject, else: "cannot be banned"), until: request.seconds.map { now() + $0 }, why: request.why ?? "")
            let result = await change(.ban(ban))
            record(call.caller, Self.command(ban, seconds: request.seconds), result.failure)
            return .json(try RecordJSON.encode(BanRecord(ban, unconfirmed: try result.get())))
        }
    }

    private var lift: HTTPRoute {
        let sheet = RouteSheet(
            "Lifts a ban.", LiftedBan.self, gives: "The ban is lifted.",
            errors: .registry + [.banUnknown, .connectionLost, .memoryLimit, .masterStandby])
        let subject = HTTPParameter("subject", .banSubject, "Who is banned, as the list of bans has it.", wanted: BanSubject.form)
        return HTTPRoute(.delete, "/api/v1/bans", sheet, parameters: [subject], need: .operate) { [change, record] call in
            let subject = try Self.subject(call.parameters["subject"] ?? "", else: "is nobody whom a ban names")
            let result = await change(.unban(subject))
            record(call.caller, "unban \(subject)", result.failure)
            return .json(try RecordJSON.encode(LiftedBan(lifted: subject.description, unconfirmed: try result.get())))
        }
    }

    /// As the operator may have typed it.
    private static func command(_ ban: Ban, seconds: Double?) -> String {
        "ban \(ban.subject)" + (seconds.map { " --for \(Int($0))s" } ?? "") + (ban.why.isEmpty ? "" : " --why \(ban.why)")
    }

    private static func subject(_ text: String, else wrong: String) throws(ShuntError) -> BanSubject {
        guard let subject = BanSubject(text) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' \(wrong)", at: "subject",
                help: BanSubject.form)
        }
        return subject
    }
}
