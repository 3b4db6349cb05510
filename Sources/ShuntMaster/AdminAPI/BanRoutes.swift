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
        HTTPRoute(.get, "/api/v1/bans", parameters: ["limit", "offset"]) { [registry] call in
            let limit = try call.integer("limit", in: 1...BanPage.maximumLimit, default: 100)
            let offset = try call.integer("offset", in: 0...Int.max, default: 0)
            return .json(try RecordJSON.encode(try await registry.bans(limit: limit, offset: offset)))
        }
    }

    private var add: HTTPRoute {
        HTTPRoute(.post, "/api/v1/bans", need: .operate) { [change, record, now] call in
            guard let request = try? RecordJSON.decode(BanRequest.self, from: call.body) else {
                throw ShuntError(
                    .requestInvalid, "the body is not what a ban takes", help: #"send {"subject": "client:c1", "seconds": 3600, "why": "…"}"#)
            }
            if let seconds = request.seconds, !(1...1e10).contains(seconds) {
                throw ShuntError(.requestInvalid, "nobody can be banned for \(seconds) seconds", at: "seconds", help: "from 1; without it: for ever")
            }
            let ban = Ban(try Self.subject(request.subject), until: request.seconds.map { now() + $0 }, why: request.why ?? "")
            let error = await change(.ban(ban))
            record(call.caller, Self.command(ban, seconds: request.seconds), error)
            if let error { throw error }
            return .json(try RecordJSON.encode(BanRecord(ban)))
        }
    }

    private var lift: HTTPRoute {
        HTTPRoute(.delete, "/api/v1/bans", parameters: ["subject"], need: .operate) { [change, record] call in
            let subject = try Self.subject(call.parameters["subject"] ?? "")
            let error = await change(.unban(subject))
            record(call.caller, "unban \(subject)", error)
            if let error { throw error }
            return .json(try RecordJSON.encode(LiftedBan(lifted: subject.description)))
        }
    }

    /// As the operator may have typed it.
    private static func command(_ ban: Ban, seconds: Double?) -> String {
        "ban \(ban.subject)" + (seconds.map { " --for \(Int($0))s" } ?? "") + (ban.why.isEmpty ? "" : " --why \(ban.why)")
    }

    private static func subject(_ text: String) throws(ShuntError) -> BanSubject {
        guard let subject = BanSubject(text) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' cannot be banned", at: "subject",
                help: BanSubject.form)
        }
        return subject
    }
}
