import FoundationEssentials
import Logging
import RawHTTP
import ShuntCore
import Synchronization
import Testing

@testable import ShuntHTTP

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

@Suite struct HTTPEndpointTests {
    private struct Unexpected: Error {}

    private static let routes = [
        HTTPRoute(
            .get, "/things",
            parameters: [HTTPParameter("limit", .integer(1...10, usual: 5), ""), HTTPParameter("q", .text(most: 20), "")]
        ) { call in
            let limit: Int = call.integer("limit") ?? 0
            return .text("\(limit) \(call.parameters["q"] ?? "-")")
        },
        HTTPRoute(.get, "/things/{name}") { call in .text(call.segment) },
        HTTPRoute(.post, "/things") { call in .text("\(call.body.count)") },
        HTTPRoute(.get, "/broken") { _ in throw Unexpected() },
    ]

    private func serving(
        _ routes: [HTTPRoute] = routes, _ adjust: (inout HTTPEndpoint.Configuration) -> Void = { _ in },
        _ body: (Int) async throws -> Void
    ) async throws {
        var configuration = HTTPEndpoint.Configuration(host: "127.0.0.1", port: 0)
        adjust(&configuration)
        let endpoint = try await HTTPEndpoint.start(routes, configuration, logger: quiet)
        do {
            try await body(endpoint.port)
        } catch {
            await endpoint.stop()
            throw error
        }
        await endpoint.stop()
    }

    private func problem(_ answer: RawHTTP.Answer) throws -> ProblemDetails {
        #expect(answer.headers["content-type"] == "application/problem+json")
        let details = try JSONDecoder().decode(ProblemDetails.self, from: Data(answer.body.utf8))
        #expect(details.status == answer.status)
        #expect(details.type == "about:blank")
        #expect(!details.title.isEmpty)
        return details
    }

    @Test("The port is the real one, and each request finds its route")
    func routes() async throws {
        try await serving { port async throws in
            #expect(port > 0)
            #expect(try await RawHTTP.get("/things", port: port).body == "5 -")
            #expect(try await RawHTTP.get("/things?limit=7&q=a+b%2B%C3%A9", port: port).body == "7 a b+é")
            #expect(try await RawHTTP.get("/things/10.0.0.1%3A4091", port: port).body == "10.0.0.1:4091")
            #expect(try await RawHTTP.get("/things/a+b", port: port).body == "a+b")
            #expect(try await RawHTTP.post("/things", "12345", port: port).body == "5")
        }
    }

    @Test("HEAD is answered as GET without the body")
    func head() async throws {
        try await serving { port async throws in
            let answer = try await RawHTTP.get("/things", method: "HEAD", port: port)
            #expect(answer.status == 200)
            #expect(answer.body.isEmpty)
            #expect(answer.headers["content-length"] == "3")
        }
    }

    @Test(
        "A path that does not exist is not_found, and lists those that do",
        arguments: ["/", "/thing", "/things/a/b", "/things/", "//things", "*"])
    func notFound(_ path: String) async throws {
        try await serving { port async throws in
            let answer = try await RawHTTP.get(path, port: port)
            #expect(answer.status == 404)
            let details = try problem(answer)
            #expect(details.code == "not_found")
            #expect(details.help == "there is /things, /things/{name}, /broken")
        }
    }

    @Test(
        "A method that a path does not have is method.not_allowed, with Allow",
        arguments: ["DELETE", "PUT", "PATCH", "OPTIONS", "BREW"])
    func methodNotAllowed(_ method: String) async throws {
        try await serving { port async throws in
            let answer = try await RawHTTP.get("/things", method: method, port: port)
            // A parser may know no BREW at all.
            #expect(answer.status == 405 || (method == "BREW" && answer.status == 400))
            guard answer.status == 405 else { return }
            #expect(answer.headers["allow"] == "GET, HEAD, POST")
            #expect(try problem(answer).code == "method.not_allowed")
        }
    }

    @Test(
        "A wrong parameter is request.invalid and says what would be right",
        arguments: [
            ("/things?limits=1", "limits", "limit, q"), ("/things?limit=0", "limit", "1 to 10"),
            ("/things?limit=11", "limit", "1 to 10"),
            ("/things?limit=abc", "limit", "1 to 10"), ("/things?limit=", "limit", "1 to 10"),
            ("/things?limit", "limit", "1 to 10"),
            ("/things?limit=99999999999999999999999", "limit", "1 to 10"), ("/things?q=1&q=2", "q", "once"),
            ("/things?q=%zz", "q=%zz", nil),
            ("/things?q=%ff", "q=%ff", nil), ("/things?q=%c", "q=%c", nil), ("/things/%ff", "/things/%ff", nil),
            ("/things/x?a=b", "a", "none"), ("/things/x%00y", "/things/x%00y", "no name"), ("/things?q=x%00", "q", "no text"),
        ] as [(String, String, String?)])
    func invalid(_ target: String, _ location: String, _ help: String?) async throws {
        try await serving { port async throws in
            let answer = try await RawHTTP.get(target, port: port)
            #expect(answer.status == 400)
            let details = try problem(answer)
            #expect(details.code == "request.invalid")
            #expect(details.location == location)
            if let help { #expect(details.help?.contains(help) == true) }
        }
    }

    @Test("What a route throws unexpectedly is internal, and tells nothing of itself")
    func unexpected() async throws {
        try await serving { port async throws in
            let answer = try await RawHTTP.get("/broken", port: port)
            #expect(answer.status == 500)
            #expect(try problem(answer).code == "internal")
            #expect(!answer.body.contains("Unexpected"))
        }
    }

    @Test("A body beyond 1 MiB is 413, whether its length is announced or not; one of just that length is taken")
    func bodyLimit() async throws {
        let limit = HTTPRoute.maximumBodyLength
        let chunk = "8000\r\n" + String(repeating: "x", count: 0x8000) + "\r\n"
        try await serving { port async throws in
            #expect(try await RawHTTP.post("/things", String(repeating: "x", count: limit), port: port).body == "\(limit)")
            let announced = try await RawHTTP.post("/things", String(repeating: "x", count: limit + 1), port: port)
            let chunked = try await RawHTTP.exchange(
                "POST /things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + String(repeating: chunk, count: 40) + "0\r\n\r\n", port: port)
            for answer in [announced, chunked] {
                #expect(answer.status == 413)
                #expect(try problem(answer).code == "frame.too_large")
            }
        }
    }

    @Test(
        "A malformed request is refused or closed, and the next client is served",
        arguments: [
            "GARBAGE\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n\r\nx",
            "GET /\u{0} HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            "POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            "POST /things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST /things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "GET / HTTP/1.1\r\nHost : t\r\n\r\n", "GET / HTTP/1.1\r\nNo colon\r\n\r\n",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}",
            "GET /" + String(repeating: "a", count: 200_000) + " HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 20_000) + "\r\n",
        ])
    func malformed(_ request: String) async throws {
        try await serving { port async throws in
            let client = try RawHTTP(port: port)
            await client.send(Array(request.utf8))
            client.finish()
            let bytes = try await client.readToEnd()
            if !bytes.isEmpty { #expect((400..<500).contains(try RawHTTP.parse(bytes).status)) }
            #expect(try await RawHTTP.get("/things", port: port).status == 200)
        }
    }

    @Test(
        "A connection that says nothing, or stops in the midst of a request, is closed",
        arguments: ["", "GET /thi", "POST /things HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"])
    func silent(_ bytes: String) async throws {
        try await serving {
            $0.idleTimeout = .milliseconds(100)
        } _: { port async throws in
            let client = try RawHTTP(port: port)
            await client.send(Array(bytes.utf8))
            _ = try await client.readToEnd()
        }
    }

    @Test("A connection whose first request does not come in time is closed, however long it may be silent later")
    func slowHead() async throws {
        try await serving {
            $0.headTimeout = .milliseconds(100)
        } _: { port async throws in
            let client = try RawHTTP(port: port)
            await client.send(Array("GET /thi".utf8))
            #expect(try await client.readToEnd().isEmpty)
        }
    }

    @Test("Half requests do not keep others out: the connection that waits longest makes room")
    func crowded() async throws {
        try await serving {
            $0.maximumConnections = 4
            $0.headTimeout = .seconds(3600)
            $0.idleTimeout = .seconds(3600)
        } _: { port async throws in
            var half: [RawHTTP] = []
            for number in 0..<20 {
                half.append(try RawHTTP(port: port))
                await half[number].send(Array("POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx".utf8))
            }
            #expect(try await RawHTTP.get("/things", port: port).status == 200)
            for client in half.prefix(16) { #expect(try await client.readToEnd().isEmpty) }
            // The last is still served.
            await half[19].send(Array("12345678".utf8))
            half[19].finish()
            #expect(try RawHTTP.parse(await half[19].readToEnd()).body == "9")
        }
    }

    @Test(
        "A client that speaks HTTP/1.0, or says Connection: close in any case, sees the end after its answer",
        arguments: [
            "GET /things HTTP/1.0\r\n\r\n", "GET /things HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n",
            "GET /things HTTP/1.1\r\nHost: localhost\r\nConnection: te, close\r\n\r\n",
        ])
    func closesAfterAnswer(request: String) async throws {
        try await serving {
            $0.idleTimeout = .seconds(3600)
        } _: { port async throws in
            #expect(try await RawHTTP.exchange(request, port: port).body == "5 -")
        }
    }

    @Test(
        "Without exactly one Host HTTP/1.1 is refused and closed; HTTP/1.0 needs none",
        arguments: [
            ("GET /things HTTP/1.1\r\n\r\n", 400, "request.invalid"), ("GET /things HTTP/1.1\r\nHost: \r\n\r\n", 400, "request.invalid"),
            ("GET /things HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "request.invalid"),
            ("GET /things HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421, "host.unknown"),
            ("GET /things HTTP/1.1\r\nHost: evil.example\r\nshunt-host-fault: x\r\nConnection: close\r\n\r\n", 421, "host.unknown"),
            ("GET /things HTTP/1.0\r\nHost: evil.example\r\n\r\n", 421, "host.unknown"),
            ("GET http://evil.example/things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 421, "host.unknown"),
            ("GET http://localhost/things HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 200, ""),
            ("GET /things HTTP/1.1\r\nHost: localhost\r\nshunt-host-fault: x\r\nConnection: close\r\n\r\n", 200, ""),
            ("GET /things HTTP/1.0\r\n\r\n", 200, ""),
        ])
    func hosts(request: String, status: Int, code: String) async throws {
        try await serving {
            $0.idleTimeout = .seconds(3600)
        } _: { port async throws in
            let answer = try await RawHTTP.exchange(request, port: port)
            #expect(answer.status == status)
            if status == 200 { #expect(answer.body == "5 -") } else { #expect(try problem(answer).code == code) }
        }
    }

    @Test("A client that waits to be told so sends its body; the answer to the request before comes first")
    func continues() async throws {
        try await serving { port async throws in
            let client = try RawHTTP(port: port)
            let head = "POST /things HTTP/1.1\r\nHost: localhost\r\nExpect: 100-Continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
            await client.send(Array(("GET /things/1 HTTP/1.1\r\nHost: localhost\r\n\r\n" + head).utf8))
            let first = String(decoding: try await client.read(until: "100 Continue\r\n\r\n"), as: UTF8.self)
            #expect(first.hasPrefix("HTTP/1.1 200 OK\r\n"))
            #expect(first.hasSuffix("\r\n\r\n1HTTP/1.1 100 Continue\r\n\r\n"))
            await client.send(Array("12345".utf8))
            let answer = try RawHTTP.parse(await client.readToEnd())
            #expect(answer.status == 200)
            #expect(answer.body == "5")
        }
    }

    @Test(
        "A client that waits to send a body which nobody reads is answered at once, and disconnected",
        arguments: [
            ("POST /nothing HTTP/1.1\r\nContent-Length: 5", 404), ("POST /things HTTP/1.1\r\nContent-Length: 2000000", 413),
            ("DELETE /things HTTP/1.1\r\nTransfer-Encoding: chunked", 405),
        ])
    func refusesToContinue(request: String, status: Int) async throws {
        try await serving {
            $0.idleTimeout = .seconds(3600)
        } _: { port async throws in
            let answer = try await RawHTTP.exchange(request + "\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n", port: port)
            #expect(answer.status == status)
            #expect(answer.headers["connection"] == "close")
        }
    }

    @Test("Two requests in one packet are answered in order")
    func pipelined() async throws {
        try await serving { port async throws in
            let client = try RawHTTP(port: port)
            await client.send(
                Array(
                    "GET /things/1 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /things/2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8
                ))
            let text = String(decoding: try await client.readToEnd(), as: UTF8.self)
            #expect(text.ranges(of: "HTTP/1.1 200 OK").count == 2)
            #expect(text.hasSuffix("2"))
        }
    }

    @Test("A port that is taken is address.in_use, an address that is not this machine's address.unavailable")
    func addresses() async throws {
        try await serving { port async throws in
            await #expect { try await HTTPEndpoint.start([], .init(host: "127.0.0.1", port: port), logger: quiet) } throws: {
                error in
                (error as? ShuntError)?.code == .addressInUse && (error as? ShuntError)?.location == "127.0.0.1:\(port)"
            }
        }
        for host in ["192.0.2.1", "300.1.1.1", ""] {
            await #expect("\(host)") { try await HTTPEndpoint.start([], .init(host: host, port: 0), logger: quiet) } throws: {
                error in
                (error as? ShuntError)?.code == .addressUnavailable
            }
        }
    }

    @Test("Stopping closes idle connections, frees the port, and does not wait for ever for a request that never ends")
    func stops() async throws {
        var configuration = HTTPEndpoint.Configuration(host: "127.0.0.1", port: 0)
        configuration.stopTimeout = .milliseconds(300)
        let endpoint = try await HTTPEndpoint.start(Self.routes, configuration, logger: quiet)
        let idle = try RawHTTP(port: endpoint.port)
        let half = try RawHTTP(port: endpoint.port)
        await half.send(Array("POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx".utf8))
        #expect(try await RawHTTP.get("/things", port: endpoint.port).status == 200)
        let start = ContinuousClock.now
        await endpoint.stop()
        #expect(ContinuousClock.now - start < configuration.idleTimeout)
        #expect(try await idle.readToEnd().isEmpty)
        _ = try await half.readToEnd()
        configuration.port = endpoint.port
        let again = try await HTTPEndpoint.start(Self.routes, configuration, logger: quiet)
        #expect(again.port == endpoint.port)
        await again.stop()
    }

    @Test("A request that is under way when the server stops is still answered")
    func graceful() async throws {
        let (entered, enter) = AsyncStream.makeStream(of: Void.self)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let slow = HTTPRoute(.get, "/slow") { _ in
            enter.yield()
            for await _ in gate { break }
            return .text("done")
        }
        let endpoint = try await HTTPEndpoint.start([slow], .init(host: "127.0.0.1", port: 0), logger: quiet)
        async let answer = RawHTTP.get("/slow", port: endpoint.port)
        for await _ in entered { break }
        async let stopped: Void = endpoint.stop()
        open.yield()
        #expect(try await answer.body == "done")
        await stopped
    }
}

@Suite struct HTTPAnswerTests {
    @Test(
        "The target of a request is a path or a whole URL, and may have a query",
        arguments: [
            ("/a/b?c=d?e", "/a/b", "c=d?e"), ("/a", "/a", ""), ("/a?", "/a", ""), ("http://h:1/a?b", "/a", "b"), ("http://h", "/", ""),
            ("http://h?b", "/", "b"), ("/a#b?c", "/a", ""), ("/a?u=x://y", "/a", "u=x://y"), ("", "/", ""), ("*", "*", ""),
        ])
    func target(_ text: String, _ path: String, _ query: String) {
        let target = RequestTarget(text)
        #expect(target.path == path)
        #expect(target.query == query)
    }

    @Test("An answer has the date, its length, and says when the connection ends with it")
    func fields() async throws {
        let endpoint = try await HTTPEndpoint.start(
            [HTTPRoute(.get, "/") { _ in .text("é") }], .init(host: "127.0.0.1", port: 0), logger: quiet)
        let answer = try await RawHTTP.get("/", port: endpoint.port)
        #expect(answer.headers["content-length"] == "2")
        #expect(answer.headers["connection"] == "close")
        #expect(answer.headers["cache-control"] == "no-store")
        let date = try #require(answer.headers["date"])
        #expect(date.wholeMatch(of: /(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/) != nil, "\(date)")
        await endpoint.stop()
    }

    @Test("Where as many requests are being answered as may be, others wait to be accepted, and are then served", .timeLimit(.minutes(1)))
    func accepts() async throws {
        let (entered, enter) = AsyncStream.makeStream(of: Void.self)
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let most = Mutex((now: 0, ever: 0))
        let slow = HTTPRoute(.get, "/slow") { _ in
            most.withLock { $0 = ($0.now + 1, max($0.ever, $0.now + 1)) }
            enter.yield()
            for await _ in gate { break }
            most.withLock { $0.now -= 1 }
            return .text("done")
        }
        var configuration = HTTPEndpoint.Configuration(host: "127.0.0.1", port: 0)
        configuration.maximumConnections = 1
        let endpoint = try await HTTPEndpoint.start([slow], configuration, logger: quiet)
        var entries = entered.makeAsyncIterator()
        var clients: [RawHTTP] = []
        for number in 0..<5 {
            clients.append(try RawHTTP(port: endpoint.port))
            await clients[number].send(Array("GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
            clients[number].finish()
            // The third is not accepted before one of these is answered.
            if number < 2 { await entries.next() }
        }
        for number in 0..<5 {
            open.yield()
            if number < 3 { await entries.next() }
        }
        for client in clients { #expect(try RawHTTP.parse(await client.readToEnd()).body == "done") }
        #expect(most.withLock { $0.ever } == 2)
        await endpoint.stop()
    }
}

@Suite struct HealthServerTests {
    @Test("A live process is healthy; it is ready when it says so; metrics are Prometheus text")
    func health() async throws {
        let reasons = Reasons()
        let endpoint = try await HealthServer.start(
            .init(host: "127.0.0.1", port: 0), readiness: { reasons.next() }, metrics: { "shunt_up 1\n" }, logger: quiet)
        let port = endpoint.port
        #expect(try await RawHTTP.get("/healthz", port: port).body == "ok\n")
        let notReady = try await RawHTTP.get("/readyz", port: port)
        #expect(notReady.status == 503)
        #expect(notReady.body.contains(#""code":"worker.none""#))
        #expect(try await RawHTTP.get("/readyz", port: port).status == 200)
        let metrics = try await RawHTTP.get("/metrics", port: port)
        #expect(metrics.body == "shunt_up 1\n")
        #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        await endpoint.stop()
    }

    @Test("A process that can serve says so with what is not as it should be")
    func note() async throws {
        let endpoint = try await HealthServer.start(
            .init(host: "127.0.0.1", port: 0), readiness: { nil }, note: { "no master answers" }, metrics: { "" }, logger: quiet)
        #expect(try await RawHTTP.get("/readyz", port: endpoint.port).body == "ready; no master answers\n")
        await endpoint.stop()
    }

    /// Not ready when first asked, then ready.
    private final class Reasons: Sendable {
        private let asked = Mutex(0)

        func next() -> ShuntError? {
            let count = asked.withLock { asked in
                asked += 1
                return asked
            }
            return count == 1 ? ShuntError(.workerNone, "no listener is open yet") : nil
        }
    }
}

@Suite struct ConnectionTableTests {
    @Test("Of connections that wait for a request the one that does so longest makes room; one with a request never")
    func victims() {
        var table = ConnectionTable<String>(limit: 3)
        func open(_ ids: [String]) -> [String?] { ids.map { table.opened($0) } }
        #expect(open(["a", "b", "c"]) == [nil, nil, nil])
        // Two, pipelined.
        table.began("a")
        table.began("a")
        #expect(open(["d"]) == ["b"])
        table.answered("a")
        #expect(open(["b"]) == ["c"])
        table.closed("b")
        #expect(open(["c"]) == [nil])
        table.answered("a")
        #expect(open(["e", "f", "g"]) == ["d", "c", "a"])
        table.closed("e")
        #expect(open(["h"]) == [nil])
        for id in ["f", "g", "h"] { table.began(id) }
        #expect(open(["i", "j"]) == [nil, "i"])
    }
}
