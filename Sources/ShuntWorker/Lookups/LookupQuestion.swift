import ShuntConfig
import ShuntCore

extension LookupService {
    /// A look-up that was found to be allowed.
    struct Question: Sendable {
        enum What: Sendable {
            case http(LookupTarget, body: [UInt8]?)
            case name(String)
        }

        let what: What
        let headers: [String]
        /// An answer that was kept will do where it is not older than so many seconds, and its own is kept; nil: neither.
        let cache: Double?
        /// What equal questions share; nil: each is asked.
        let key: LookupKey?
        /// Whom it goes to: host and port.
        let place: String
        /// Names the network of the client that it is asked for.
        let network: UInt64

        /// Addresses are kept for so many seconds where the rule does not say.
        private static let addressSeconds = 10.0

        /// - Throws: `rule.failed` where the rule may not ask that.
        init(_ lookup: RuleLookup, _ permit: Permit, _ plugin: String) throws(ShuntError) {
            (headers, network) = (lookup.headers, lookup.network)
            switch lookup.what {
            case .get(let url):
                let target = try Self.target(url, permit)
                what = .http(target, body: nil)
                cache = lookup.cache
                key = LookupKey(plugin: plugin, permit: permit.stamp, text: target.url, headers: lookup.headers.sorted())
                place = target.authority
            case .post(let url, let body):
                let target = try Self.target(url, permit)
                guard lookup.cache == nil else { throw ShuntError(.ruleFailed, "the answers of POST are not kept: leave cache out") }
                what = .http(target, body: body)
                (cache, key, place) = (nil, nil, target.authority)
            case .resolve(let text):
                guard let name = LookupHost.name(text) else { throw ShuntError(.ruleFailed, "'\(text.prefix(100))' is no name of a host") }
                guard permit.names.contains(where: { $0.allows(name) }) || permit.hosts.contains(where: { $0.host == name }) else {
                    throw ShuntError(.ruleFailed, "this rule may not resolve \(name)", help: "rules.lookups.\(plugin).names lists what it may")
                }
                what = .name(name)
                cache = lookup.cache ?? Self.addressSeconds
                // What a name stands for is the same for all.
                key = LookupKey(plugin: "", permit: 0, text: name, headers: [])
                place = name
            }
        }

        private static func target(_ url: String, _ permit: Permit) throws(ShuntError) -> LookupTarget {
            let target = try LookupTarget(url)
            guard permit.hosts.contains(where: { $0.allows(target) }) else {
                throw ShuntError(
                    .ruleFailed, "this rule may not ask \(target.isSecure ? "https" : "http")://\(target.authority)",
                    help: "hosts of rules.lookups lists whom it may")
            }
            return target
        }
    }
}

/// What tells questions apart. Rules do not share theirs, as they may be allowed different things; nor does a rule that may do so since share what
/// was asked before, whose answer may be larger than it may be now, or of a host that does not count any longer.
struct LookupKey: Hashable, Sendable {
    var plugin: String
    /// `LookupService.Permit.stamp`.
    var permit: Int
    var text: String
    var headers: [String]
}

/// Answers that are kept, bounded in number and bytes: the one that came first makes way. How old an answer may be is for the asker to say: a
/// call with a short time never gets what a longer one has kept, nor does a new version of a rule.
struct LookupCache {
    private struct Entry {
        var answer: LookupAnswer
        var came: Double
        var size: Int
        var number: UInt64
    }

    private var entries: [LookupKey: Entry] = [:]
    /// In the order in which they came; some have been replaced since.
    private var order: ArraySlice<(key: LookupKey, number: UInt64)> = []
    private(set) var bytes = 0
    private var lastNumber: UInt64 = 0
    var count: Int { entries.count }
    static let mostEntries = 10_000
    static let mostBytes = 32 << 20

    /// - Parameters:
    ///   - age: the most seconds since it came.
    ///   - now: seconds of a clock that never goes back.
    func answer(to key: LookupKey, within age: Double, now: Double) -> LookupAnswer? {
        guard let entry = entries[key], now - entry.came < age else { return nil }
        return entry.answer
    }

    mutating func keep(_ answer: LookupAnswer, for key: LookupKey, now: Double) {
        let size = answer.size + key.text.utf8.count + key.headers.reduce(0) { $0 + $1.utf8.count } + 200
        guard size <= Self.mostBytes / 8 else { return }
        remove(key)
        lastNumber += 1
        entries[key] = Entry(answer: answer, came: now, size: size, number: lastNumber)
        order.append((key, lastNumber))
        bytes += size
        while entries.count > Self.mostEntries || bytes > Self.mostBytes || order.count > 2 * Self.mostEntries {
            guard let oldest = order.popFirst() else { break }
            if entries[oldest.key]?.number == oldest.number { remove(oldest.key) }
        }
    }

    private mutating func remove(_ key: LookupKey) {
        if let entry = entries.removeValue(forKey: key) { bytes -= entry.size }
    }

    mutating func removeAll() { self = LookupCache() }
}

extension LookupAnswer {
    /// Bytes, about.
    fileprivate var size: Int {
        switch self {
        case .response(_, let headers, let body): body.count + headers.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count + 64 }
        case .addresses(let all): all.count * 64
        case .failed(let why): why.utf8.count
        }
    }
}

/// Keeps rules from asking a host that does not answer. After some failures in a row nobody asks for a while; then one may try.
///
/// Clients choose much of what is asked: where all failures in a row come from one or two networks, only these do not ask.
struct HostBreaker {
    private struct Run {
        var failures = 0
        var until = -Double.infinity

        /// Called for each question that is about to be asked.
        mutating func refuses(now: Double) -> Bool {
            guard failures >= HostBreaker.mostFailures else { return false }
            guard now >= until else { return true }
            until = now + HostBreaker.pause
            return false
        }

        mutating func failed(now: Double) {
            failures += 1
            if failures == HostBreaker.mostFailures { until = now + HostBreaker.pause }
        }
    }

    /// Of all networks together, since the last answer.
    private var all = Run()
    private var networks: Set<UInt64> = []
    /// Of each network, since its own last answer.
    private var own: [UInt64: Run] = [:]
    static let mostFailures = 10
    static let pause = 5.0
    /// Networks that have to fail before nobody asks.
    static let leastNetworks = 3
    private static let mostNetworks = 256

    mutating func refuses(network: UInt64, now: Double) -> Bool {
        if networks.count >= Self.leastNetworks, all.refuses(now: now) { return true }
        return own[network]?.refuses(now: now) ?? false
    }

    /// - Parameter worked: nil where it says nothing of the host.
    mutating func ended(worked: Bool?, network: UInt64, now: Double) {
        guard let worked else { return }
        guard !worked else {
            (all, networks) = (Run(), [])
            own[network] = nil
            return
        }
        all.failed(now: now)
        if networks.count < Self.leastNetworks { networks.insert(network) }
        if own.count >= Self.mostNetworks, own[network] == nil { own.removeAll() }
        own[network, default: Run()].failed(now: now)
    }
}
