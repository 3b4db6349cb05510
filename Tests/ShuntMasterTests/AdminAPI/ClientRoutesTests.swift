import ShuntCore
import ShuntJSON
import ShuntMaster
import ShuntRegistry
import Testing

@Suite("Clients by the admin API")
struct ClientRoutesTests {
    /// One worker has the client `here`, and its session 0-1-1; of `lost` the worker that has not answered may know.
    static let answers: AdminServer.CommandWorkers = { command in
        guard let question = try? RecordJSON.decode(ClientQuestion.self, from: command.arguments) else {
            return .failure(ShuntError(.internalError, "no question"))
        }
        let isThere = question.client == "here" || question.session == "0-1-1"
        let ended = question.endsSession == true ? 1 : 0
        let json =
            command.name == .kick
            ? #"{"closed":\#(isThere ? 1 : 0),"ended":\#(isThere ? ended : 0)}"# : #"{"clients":[],"total":0}"#
        return .success(
            WorkerAnswers(
                answers: [
                    .init(worker: "a:1", result: .success(Array(json.utf8))),
                    .init(worker: "b:1", result: .success(Array((command.name == .kick ? #"{"closed":0,"ended":0}"# : json).utf8))),
                ], missing: question.client == "lost" ? ["c:1"] : []))
    }

    @Test(
        "A kick tells how many were closed, and where",
        arguments: [
            ("/here", 1, 0), ("/here?end_session=true", 1, 1), ("?worker=a:1&session=0-1-1", 1, 0),
        ])
    func kicks(_ target: String, _ closed: Int, _ ended: Int) async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.send("DELETE", "/api/v1/clients" + target)
            #expect(answer.status == 200)
            #expect(answer.body == #"{"closed":\#(closed),"ended":\#(ended),"missing":[],"workers":["a:1"]}"#)
        }
    }

    @Test(
        "A client that nobody has is 404; where a worker has not answered it may be there: 503; a session needs its worker",
        arguments: [
            ("/nobody", 404, "client.unknown"), ("/lost", 503, "connection.lost"), ("?session=0-1-1", 400, "request.invalid"),
            ("?worker=a:1&session=x", 400, "request.invalid"), ("", 400, "request.invalid"), ("/here?end_session=1", 400, "request.invalid"),
        ])
    func refused(_ target: String, _ status: Int, _ code: String) async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.send("DELETE", "/api/v1/clients" + target)
            #expect(answer.status == status && answer.body.contains(#""code":"\#(code)""#))
        }
    }

    @Test(
        "What is subscribed is asked of the workers, and what is asked wrongly of nobody",
        arguments: [
            ("subscriptions?filter=a/%23&limit=5", 200), ("groups?worker=a:1", 200), ("subscriptions?filter=a%23", 400),
            ("topics?by=bytes&over=total&limit=5&worker=a:1", 200), ("topics", 200), ("topics?by=size", 400), ("topics?over=ever", 400),
            ("subscriptions?limit=0", 400), ("groups?limit=1001", 400), ("groups?filter=a", 400),
        ])
    func subscribed(_ target: String, _ status: Int) async throws {
        try await serving { fixture async throws in
            #expect(try await fixture.get("/api/v1/" + target).status == status)
            #expect(try await fixture.send("DELETE", "/api/v1/" + String(target.prefix { $0 != "?" })).status == 405)
        }
    }

    @Test("Clients are listed from the registry by what is asked for")
    func lists() async throws {
        try await serving { fixture async throws in
            let client = ClientRecord(
                worker: "a:1", session: "0-1-1", client: "a b", uid: "u", protocolName: "mqtt 5.0", listener: "mqtt", address: "10.0.0.9:5",
                since: 1.5)
            fixture.registry.writer.submit([.client(.client(client, list: 1))])
            try await fixture.registry.writer.flush()
            let listed = try await fixture.get("/api/v1/clients?client=a%20b&protocol=mqtt&state=connected")
            #expect(
                listed.body
                    == #"{"clients":[{"address":"10.0.0.9:5","client":"a b","listener":"mqtt","protocol":"mqtt 5.0","session":"0-1-1","since":1.5,"#
                    + #""state":"connected","subscriptions":0,"uid":"u","worker":"a:1"}],"limit":100,"offset":0,"total":1}"#)
            #expect(try await fixture.get("/api/v1/clients?search=A%20B").body == listed.body)
            #expect(try await fixture.get("/api/v1/clients?search=" + String(repeating: "x", count: 257)).status == 400)
            #expect(try await fixture.get("/api/v1/clients?state=away").body.contains(#""total":0"#))
            #expect(try await fixture.get("/api/v1/clients?state=gone").status == 400)
            let detail = try await fixture.get("/api/v1/clients/here?subscriptions=5")
            #expect(detail.status == 200 && detail.body.contains(#""answer":{"clients":[],"total":0}"#))
            #expect(try await fixture.get("/api/v1/clients/here?subscriptions=1001").status == 400)
        }
    }
}
