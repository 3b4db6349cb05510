import CLuaHost
import ShuntCore

// Unsafe: the host's callbacks get, uncounted, the object that owns the host.

/// Callbacks from a loop's Lua states to their owner.
protocol LuaHostOwner: AnyObject {
    /// Whether a failure of a rule is to be told now.
    func tells(rule: Int) -> Bool
    /// - Parameter message: nil where it is not to be told.
    func failed(rule: Int, hook: shunt_hook, code: ErrorCode, message: String?)
    func log(_ entry: RuleLogEntry)
    func peer(_ id: ConnectionID) -> Peer?
    func text(_ text: PeerText, of id: ConnectionID) -> String?
    func hasPeer(_ id: ConnectionID) -> Bool
    func close(_ id: ConnectionID, why: String, rule: Int)
    /// Writes a user's sessions.
    /// - Returns: whether there are more.
    func findSessions(of uid: Bytes, _ record: UnsafeMutablePointer<shunt_buffer>) -> Bool
    /// Whether a text stands in one of the rule's own files.
    /// - Parameter searched: counts the bytes that were looked through.
    func stands(_ text: Bytes, inRule rule: Int, searched: inout Int) -> Bool
    /// - Parameter check: throws once the call that asks is overdue.
    func inflate(
        _ packed: Bytes, _ compression: PayloadCompression, limit: Int, check: @escaping () throws(ShuntError) -> Void
    ) throws(ShuntError) -> [UInt8]
    /// What a rule on trial decided differs from what the rule beside it did; see `shunt_callbacks`.
    func differs(rule: Int, hook: shunt_hook, live: Int32, own: Int32, parts: UInt32, topic: Bytes)
    /// Whether so many bytes more may be delayed for the client of the call.
    func mayDelay(bytes: Int) -> Bool
    /// A rule looks something up.
    func lookUp(_ lookup: RuleLookup, rule: Int) -> LookupStep
    /// A rule test's call: what it gives back, or why it can't.
    func test(_ arguments: LuaValue) -> Result<LuaValue, ShuntError>
}

extension LuaHostOwner {
    func text(_ text: PeerText, of id: ConnectionID) -> String? { peer(id)?[text] }
    func hasPeer(_ id: ConnectionID) -> Bool { peer(id) != nil }
    func differs(rule: Int, hook: shunt_hook, live: Int32, own: Int32, parts: UInt32, topic: Bytes) {}
    func findSessions(of uid: Bytes, _ record: UnsafeMutablePointer<shunt_buffer>) -> Bool { false }
    func mayDelay(bytes: Int) -> Bool { true }
    func stands(_ text: Bytes, inRule rule: Int, searched: inout Int) -> Bool { false }
    func lookUp(_ lookup: RuleLookup, rule: Int) -> LookupStep { .refused("nothing can be looked up here") }
    func test(_ arguments: LuaValue) -> Result<LuaValue, ShuntError> { .failure(ShuntError(.internalError, "not a rule test")) }
}

private final class BackReference {
    /// Frees the state, and with it whatever calls, before it goes.
    unowned(unsafe) var host: LuaHost?
}

private func host(_ context: UnsafeMutableRawPointer?) -> LuaHost? {
    context.flatMap { Unmanaged<BackReference>.fromOpaque($0).takeUnretainedValue().host }
}

private func hostOwner(_ context: UnsafeMutableRawPointer?) -> (any LuaHostOwner)? { host(context)?.owner }

/// A loop's Lua states, one a rule, and their callbacks. Used by one thread at a time; the owner outlives every call into it.
final class LuaHost {
    let pointer: OpaquePointer
    /// Not weak: objects that are referred to weakly are counted more slowly, and these are used for every message.
    unowned(unsafe) var owner: (any LuaHostOwner)?
    /// The callbacks' way back. Freed with the state, after which nothing calls.
    private let back: Unmanaged<BackReference>
    private let shared: SharedStore
    private let apart: SharedStore?

    init(
        worker: String, loop: Int, limits: RuleLimits, shared: SharedStore, apart: SharedStore? = nil, forTests: Bool = false
    ) throws(ShuntError) {
        let reference = BackReference()
        let back = Unmanaged.passRetained(reference)
        let pointer = worker.withCString { worker in
            var options = Self.options(limits, back.toOpaque(), forTests: forTests)
            options.worker = worker
            options.loop = Int32(clamping: loop)
            options.shared = shared.store
            options.apart = apart?.store
            options.tells_payloads = limits.logsPayloads
            return shunt_host_create(&options)
        }
        guard let pointer else {
            back.release()
            throw ShuntError(.memoryLimit, "no memory for the rules of a loop")
        }
        self.pointer = pointer
        self.back = back
        (self.shared, self.apart) = (shared, apart)
        reference.host = self
    }

    deinit {
        shunt_host_free(pointer)
        back.release()
    }

    var memory: Int { shunt_host_memory(pointer) }
    var error: String { String(shunt_host_error(pointer)) }
    var errorCode: ErrorCode { ErrorCode(shunt_host_failure(pointer)) }

    private static func options(_ limits: RuleLimits, _ context: UnsafeMutableRawPointer, forTests: Bool) -> shunt_options {
        var options = shunt_options()
        options.state_memory = limits.stateMemory
        options.inflated_bytes = limits.inflatedBytes
        options.json_depth = limits.jsonDepth
        options.fanout = UInt32(clamping: limits.fanout)
        options.topic_bytes = limits.topicBytes
        options.emits = UInt32(clamping: limits.emits)
        options.local_entries = UInt32(clamping: limits.kvEntries)
        options.local_bytes = limits.kvBytes
        options.counters = UInt32(clamping: limits.counters)
        options.log_lines_per_second = UInt32(clamping: limits.logLinesPerSecond)
        options.load_nanoseconds = limits.loadNanoseconds
        options.load_memory = limits.loadMemory
        options.turn_nanoseconds = limits.turnNanoseconds
        options.callbacks = callbacks(context, forTests: forTests)
        return options
    }

    private static func addClients(to callbacks: inout shunt_callbacks) {
        callbacks.peer = { context, id, record in
            guard let record, let peer = hostOwner(context)?.peer(ConnectionID(raw: id)) else { return false }
            peer.write(to: record)
            return true
        }
        callbacks.peer_text = { context, id, text, bytes in
            guard let bytes, let text = PeerText(rawValue: text), let found = hostOwner(context)?.text(text, of: ConnectionID(raw: id))
            else { return false }
            bytes.pointee.count = 0
            bytes.pointee.full = false
            return withBytes(of: found) { shunt_buffer_append(bytes, $0.start, $0.count) }
        }
        callbacks.has_peer = { context, id in hostOwner(context)?.hasPeer(ConnectionID(raw: id)) ?? false }
        callbacks.may_delay = { context, bytes in hostOwner(context)?.mayDelay(bytes: bytes) ?? true }
        callbacks.client = { context, id, all, record in
            guard let record, let client = hostOwner(context)?.peer(ConnectionID(raw: id))?.mqtt else { return false }
            client.write(to: record, all: all)
            return true
        }
        callbacks.close = { context, rule, id, why in
            hostOwner(context)?.close(ConnectionID(raw: id), why: String(why), rule: Int(rule))
        }
        callbacks.sessions = { context, uid, record in
            guard let record, let owner = hostOwner(context) else { return false }
            return owner.findSessions(of: Bytes(uid), record)
        }
    }

    private static let lookUp:
        @convention(c) (UnsafeMutableRawPointer?, UInt8, UnsafePointer<shunt_lookup>?, UnsafeMutablePointer<shunt_buffer>?) -> shunt_look =
            { context, rule, lookup, answer in
                guard let lookup, let answer, let owner = hostOwner(context) else { return SHUNT_LOOK_REFUSED }
                switch owner.lookUp(RuleLookup(lookup.pointee), rule: Int(rule)) {
                case .waits: return SHUNT_LOOK_WAITS
                case .known(let found):
                    let fits = found.value.encoded.withUnsafeBytes { shunt_buffer_append(answer, $0.baseAddress, $0.count) }
                    return fits ? SHUNT_LOOK_KNOWN : SHUNT_LOOK_REFUSED
                case .refused(let why):
                    _ = withBytes(of: why) { shunt_buffer_append(answer, $0.start, $0.count) }
                    return SHUNT_LOOK_REFUSED
                }
            }

    private static func callbacks(_ context: UnsafeMutableRawPointer, forTests: Bool) -> shunt_callbacks {
        var callbacks = shunt_callbacks()
        callbacks.context = context
        callbacks.tells = { context, rule in hostOwner(context)?.tells(rule: Int(rule)) ?? false }
        callbacks.failed = { context, rule, hook, failure, message in
            let message = message.start == nil ? nil : String(message)
            hostOwner(context)?.failed(rule: Int(rule), hook: hook, code: ErrorCode(failure), message: message)
        }
        callbacks.log = { context, level, rule, text, fields in
            let level = RuleLogEntry.Level(rawValue: level.rawValue) ?? .error
            hostOwner(context)?.log(RuleLogEntry(level: level, rule: String(rule), text: String(text), fields: String(fields)))
        }
        callbacks.differs = { context, rule, hook, live, own, parts, topic in
            hostOwner(context)?.differs(rule: Int(rule), hook: hook, live: live, own: own, parts: parts, topic: Bytes(topic))
        }
        addClients(to: &callbacks)
        callbacks.stands_in_rule = { context, rule, text, searched in
            guard let owner = hostOwner(context), let searched else { return false }
            var count = 0
            defer { searched.pointee += count }
            return owner.stands(Bytes(text), inRule: Int(rule), searched: &count)
        }
        callbacks.inflate = { context, packed, compression, plain in
            guard let plain, let compression = PayloadCompression(rawValue: compression), let host = host(context),
                let owner = host.owner
            else { return false }
            let pointer = host.pointer
            do throws(ShuntError) {
                let bytes = try owner.inflate(Bytes(packed), compression, limit: plain.pointee.limit) { () throws(ShuntError) in
                    if shunt_host_is_overdue(pointer) { throw ShuntError(.ruleTime, "the call is overdue") }
                }
                return bytes.withUnsafeBytes { shunt_buffer_append(plain, $0.baseAddress, $0.count) }
            } catch {
                plain.pointee.full = error.code == .memoryLimit
                return false
            }
        }
        callbacks.look_up = lookUp
        guard forTests else { return callbacks }
        callbacks.test = { context, arguments, result in
            guard let result, let asked = hostOwner(context), let value = LuaValue(encoded: Bytes(arguments)) else { return false }
            let answer = asked.test(value)
            let bytes =
                switch answer {
                case .success(let value): value.encoded
                case .failure(let error): LuaValue.string(error.withoutCode).encoded
                }
            let fits = bytes.withUnsafeBytes { shunt_buffer_append(result, $0.baseAddress, $0.count) }
            if case .success = answer { return fits }
            return false
        }
        return callbacks
    }
}

extension ShuntError {
    /// As Lua raises it in a rule test, which gives it a code of its own.
    fileprivate var withoutCode: String { (location.map { "\($0): " } ?? "") + message + (help.map { "; \($0)" } ?? "") }
}

// MARK: bytes

extension Bytes {
    init(_ bytes: shunt_bytes) { self.init(start: bytes.start, count: bytes.count) }
}

extension String {
    init(_ bytes: shunt_bytes) { self.init(decoding: Bytes(bytes), as: UTF8.self) }
}

extension shunt_bytes {
    init(_ bytes: Bytes) { self.init(start: bytes.baseAddress, count: bytes.count) }
}

/// Runs with a text as bytes.
func withBytes<R>(of text: String, _ body: (shunt_bytes) -> R) -> R {
    var text = text
    return text.withUTF8 { body(shunt_bytes(Bytes($0))) }
}
