import Testing

@testable import ShuntFetch

@Suite("requests over HTTP")
struct FetcherTests {
    private let server = AnsweringServer()
    private let fetcher = Fetcher()
    private let lane = FetchLane("test", limit: 4)

    private func fetch(_ path: String, _ change: (inout FetchRequest) -> Void = { _ in }) async -> Fetcher.Outcome {
        var request = FetchRequest(url: path.contains("://") ? path : server.url(path), lane: lane)
        request.maximumSize = 1000
        change(&request)
        return await withCheckedContinuation { continuation in fetcher.fetch(request) { continuation.resume(returning: $0) } }
    }

    private func answer(_ status: Int, _ body: String) -> Fetcher.Outcome { .success(FetchResponse(status: status, body: Array(body.utf8))) }

    @Test("an answer comes with its status and body, and a POST takes its JSON along")
    func answers() async {
        #expect(await fetch("/status/200") == answer(200, "status"))
        #expect(await fetch("/status/404") == answer(404, "status"))
        #expect(await fetch("/status/500") == answer(500, "status"))
        #expect(await fetch("/echo") == answer(200, "GET:"))
        let body = "{\"\(String(repeating: "x", count: 900))\":1}"
        #expect(await fetch("/echo") { $0.body = Array(body.utf8) } == answer(200, "POST:\(body)"))
        #expect(await fetch("/echo") { $0.body = [] } == answer(200, "POST:"))
    }

    @Test("an answer that is too large ends the transfer, whether it says so or not", arguments: ["/large", "/counted"])
    func tooLarge(path: String) async {
        #expect(await fetch(path) == .failure(.tooLarge))
    }

    /// The answer to one who wants its headers.
    private func response(_ path: String, _ headers: [String] = [], body: [UInt8]? = nil) async -> FetchResponse? {
        try? await fetch(path) { ($0.headers, $0.body) = (headers, body) }.get()
    }

    @Test("of an answer's headers none is left out, or there is no answer; trailers are none of them")
    func headers() async {
        let many = await response("/heads")?.headers ?? [:]
        #expect(many.keys.count { $0.hasPrefix("x-") } == 400 && many["x-early"] == nil)
        #expect(await fetch("/headers") { $0.headers = [] } == .failure(.tooLarge))
        let chunked = await response("/trailer")
        #expect(chunked?.headers["x-uid"] == "real")
        #expect(chunked?.body == Array("ok".utf8))
    }

    @Test(
        "a POST is JSON where no header gives another type",
        arguments: [
            ([], "Content-Type: application/json"), (["Content-Type-Options: x"], "Content-Type: application/json"),
            (["content-type: text/plain"], "content-type: text/plain"), (["Content-Type;"], "Content-Type:"),
        ])
    func type(headers: [String], expected: String) async {
        let body = await response("/type", headers, body: Array("{}".utf8))?.body ?? []
        #expect(String(decoding: body, as: UTF8.self) == expected)
    }

    @Test("silence ends with the time limit")
    func silence() async {
        let started = ContinuousClock.now
        #expect(await fetch("/silent") { $0.timeLimit = 0.2 } == .failure(.timedOut))
        #expect(ContinuousClock.now - started >= .milliseconds(190))
    }

    @Test("what is no HTTP, no server, no such scheme or a redirect elsewhere is no answer")
    func failures() async {
        for url in ["/garbage", "/headers", "http://127.0.0.1:1/", "file:///etc/passwd", "ftp://127.0.0.1/", "http://"] {
            guard case .failure(.unreachable(let why)) = await fetch(url) else {
                Issue.record("\(url) was answered")
                continue
            }
            #expect(!why.isEmpty)
        }
        #expect(await fetch("/redirect") == answer(302, ""))
    }

    @Test("it is tried again after a pause where the server cannot, and as often as it is told")
    func retries() async {
        #expect(await fetch("/once") { ($0.retries, $0.pause) = (2, 0.01) } == answer(200, "number 2"))
        #expect(await fetch("/status/500") { ($0.retries, $0.pause) = (2, 0.01) } == answer(500, "status"))
        #expect(server.requests == 5)
        #expect(await fetch("/status/400") { $0.retries = 2 } == answer(400, "status"))
        #expect(server.requests == 6)
    }

    @Test("many at once are bounded, and all are answered")
    func bounded() async {
        await withTaskGroup(of: Fetcher.Outcome.self) { group in
            for _ in 0..<40 { group.addTask { await fetch("/slow") } }
            for await outcome in group { #expect(outcome == answer(200, "slow")) }
        }
        #expect(server.requests == 40)
        #expect(server.most <= 4 && server.most >= 2)
    }

    @Test("those that find no room, or wait too long, are told so")
    func busy() async {
        let narrow = FetchLane("narrow", limit: 1, waiting: 1, patience: 0.3)
        var request = FetchRequest(url: server.url("/silent"), lane: narrow)
        request.timeLimit = 0.3
        let (answers, continuation) = AsyncStream<Fetcher.Outcome>.makeStream()
        // All at once: tasks of their own may begin late on a busy machine.
        for _ in 0..<4 { fetcher.fetch(request) { continuation.yield($0) } }
        let outcomes = await answers.prefix(4).reduce(into: [Fetcher.Outcome]()) { $0.append($1) }
        #expect(outcomes.count { $0 == .failure(.busy) } >= 2)
        #expect(outcomes.contains(.failure(.timedOut)))
    }

    @Test("the end is told to all who wait, and to those that come later")
    func stop() async {
        async let waiting = fetch("/silent")
        while server.requests == 0 { await Task.yield() }
        fetcher.stop()
        #expect(await waiting == .failure(.stopped))
        #expect(await fetch("/status/200") == .failure(.stopped))
    }
}
