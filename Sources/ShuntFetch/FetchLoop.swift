import CCurl
import Glibc

/// Carries out the requests, on the fetcher's thread.
final class FetchLoop {
    private struct Attempt {
        let job: Fetcher.Job
        var retries: Int
    }

    private let mailbox: FetchMailbox
    /// nil where libcurl cannot be loaded.
    private let loop: OpaquePointer?
    private var queue = FetchQueue<Attempt>()
    private var underWay: [UInt64: FetchQueue<Attempt>.Entry] = [:]
    private var lastID: UInt64 = 0

    init(_ mailbox: FetchMailbox) {
        self.mailbox = mailbox
        loop = fetch_loop_new(mailbox.connections)
        if let loop { mailbox.attach(FetchMailbox.Waker(loop: loop)) }
    }

    deinit {
        mailbox.attach(nil)
        if let loop { fetch_loop_free(loop) }
    }

    func run() {
        while true {
            let (jobs, goesOn) = mailbox.take()
            for job in jobs { add(job) }
            guard goesOn, let loop else { return end() }
            for entry in queue.due(now: Self.now) { begin(entry, loop) }
            fetch_wait(loop, wait)
            var result = fetch_result()
            while fetch_next(loop, &result) { ended(result) }
            for entry in queue.expired(now: Self.now) { entry.job.job.done(.failure(.busy)) }
        }
    }

    private func add(_ job: Fetcher.Job) {
        let attempt = Attempt(job: job, retries: job.request.retries)
        let entry = FetchQueue<Attempt>.Entry(job: attempt, lane: job.request.lane, sharer: job.request.sharer)
        if !queue.add(entry, now: Self.now) { job.done(.failure(.busy)) }
    }

    /// Milliseconds until something is to be done.
    private var wait: Int32 {
        guard let next = queue.next else { return 60_000 }
        return Int32(min(60_000, max(0, (next - Self.now) * 1000).rounded(.up)))
    }

    private func begin(_ entry: FetchQueue<Attempt>.Entry, _ loop: OpaquePointer) {
        let request = entry.job.job.request
        lastID += 1
        underWay[lastID] = entry
        let isBegun = request.url.withCString { url in
            Self.withBytes(request.body) { body, bodyLength in
                Self.withBytes(request.authorities) { authorities, authoritiesLength in
                    Self.withBytes(request.headers.map(Self.lines)) { headers, headersLength in
                        var asked = fetch_request()
                        // Bytes are read as characters.
                        asked.headers = UnsafeRawPointer(headers)?.assumingMemoryBound(to: CChar.self)
                        asked.headers_length = request.headers?.isEmpty == false ? headersLength : 0
                        (asked.id, asked.url) = (lastID, url)
                        (asked.body, asked.body_length) = (body, bodyLength)
                        (asked.authorities, asked.authorities_length) = (authorities, authoritiesLength)
                        (asked.milliseconds, asked.maximum) = (max(1, Int(request.timeLimit * 1000)), request.maximumSize)
                        return fetch_begin(loop, &asked)
                    }
                }
            }
        }
        if !isBegun { tell(lastID, .failure(.unreachable("libcurl takes no such request"))) }
    }

    /// Each with a zero byte behind it; never empty, so that there is a place where they begin.
    private static func lines(_ headers: [String]) -> [UInt8] { headers.isEmpty ? [0] : headers.flatMap { Array($0.utf8) + [0] } }

    private static func withBytes(_ bytes: [UInt8]?, _ body: (UnsafePointer<UInt8>?, Int) -> Bool) -> Bool {
        guard let bytes else { return body(nil, 0) }
        return bytes.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
    }

    private func ended(_ result: fetch_result) {
        let id = result.id
        switch result.end {
        case FETCH_ANSWERED where result.status < 500 || !triesAgain(id):
            let headers = FetchResponse.headers(UnsafeBufferPointer(start: result.headers, count: result.headers_length))
            let body = Array(UnsafeBufferPointer(start: result.body, count: result.body_length))
            tell(id, .success(FetchResponse(status: result.status, body: body, headers: headers)))
        case FETCH_TIMED_OUT: tell(id, .failure(.timedOut))
        case FETCH_TOO_LARGE: tell(id, .failure(.tooLarge))
        case FETCH_FAILED where !triesAgain(id):
            tell(id, .failure(.unreachable(result.why.map { String(cString: $0) } ?? "unreachable")))
        default: break
        }
    }

    /// - Returns: false where it has been tried as often as it may be.
    private func triesAgain(_ id: UInt64) -> Bool {
        guard var entry = underWay[id], entry.job.retries > 0 else { return false }
        underWay[id] = nil
        entry.job.retries -= 1
        queue.pause(entry, until: Self.now + entry.job.job.request.pause)
        return true
    }

    private func tell(_ id: UInt64, _ outcome: Fetcher.Outcome) {
        guard let entry = underWay.removeValue(forKey: id) else { return }
        queue.ended(entry)
        entry.job.job.done(outcome)
    }

    private func end() {
        let why = fetch_library_error().map { FetchFailure.unreachable(String(cString: $0)) } ?? .stopped
        for entry in queue.rest + underWay.values { entry.job.job.done(.failure(why)) }
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
