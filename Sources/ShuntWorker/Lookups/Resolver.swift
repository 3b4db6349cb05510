import Dispatch
import Glibc
import ShuntCore
import Synchronization

/// Looks names up by the system's resolver, on threads of its own: it may hang, and nobody waits for it longer than they want to.
final class Resolver: Sendable {
    private struct State {
        var waiting: ArraySlice<Job> = []
        var threads = 0
    }

    private struct Job: Sendable {
        let name: String
        let until: Double
        let done: @Sendable (LookupAnswer) -> Void
    }

    private let state = Mutex(State())
    private static let mostThreads = 4
    private static let longestQueue = 1000
    private static let mostAddresses = 32

    /// - Parameter done: called once: on another thread, or before this returns where too many wait. The caller keeps the time.
    func resolve(_ name: String, within seconds: Double, _ done: @escaping @Sendable (LookupAnswer) -> Void) {
        let job = Job(name: name, until: Doorkeeper.uptime + seconds, done: done)
        enum Step { case full, queued, start }
        let step = state.withLock { state -> Step in
            guard state.waiting.count < Self.longestQueue else { return .full }
            state.waiting.append(job)
            guard state.threads < Self.mostThreads else { return .queued }
            state.threads += 1
            return .start
        }
        switch step {
        case .full: done(.failed("too many look-ups wait"))
        case .queued: break
        // It ends when nothing waits.
        case .start: DispatchQueue(label: "resolve").async { self.work() }
        }
    }

    private func work() {
        while true {
            let job = state.withLock { state -> Job? in
                let job = state.waiting.popFirst()
                if job == nil { state.threads -= 1 }
                return job
            }
            guard let job else { return }
            job.done(Doorkeeper.uptime > job.until ? .failed("timed out") : Self.addresses(of: job.name))
        }
    }

    private static func addresses(of name: String) -> LookupAnswer {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        guard status == 0 else { return .failed(status == EAI_NONAME ? "no such name" : String(cString: gai_strerror(status))) }
        defer { freeaddrinfo(list) }
        var found: [String] = []
        var next = list
        while let info = next?.pointee, found.count < mostAddresses {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            if getnameinfo(info.ai_addr, info.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
                let address = text.withUnsafeBufferPointer { String(decoding: $0.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
                if !found.contains(address) { found.append(address) }
            }
            next = info.ai_next
        }
        return found.isEmpty ? .failed("no such name") : .addresses(found)
    }
}
