import CLuaHost
import LuaSyntax
import ShuntCore

/// How one test of a plugin ended.
public struct RuleTestResult: Equatable, Sendable {
    public var name: String
    /// nil: it passed. Its location is `file:line` of the test.
    public var failure: ShuntError?
    /// How long it took.
    public var seconds = 0.0
}

/// Runs a plugin's rule_test.lua against its rule, in virtual time, without a server.
public struct RuleTestRunner: Sendable {
    public let plugin: RulePlugin
    private let limits: RuleLimits
    private let testNanoseconds: UInt64
    private let print: @Sendable (String) -> Void

    /// - Parameters:
    ///   - testNanoseconds: how long a test may take, or the file of tests to load.
    ///   - print: gets what tests print.
    public init(
        plugin: RulePlugin, limits: RuleLimits = RuleLimits(), testNanoseconds: UInt64 = 10_000_000_000,
        print: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.plugin = plugin
        self.testNanoseconds = testNanoseconds
        self.limits = limits
        self.print = print
    }

    /// What is to be said of the rule as a worker with the default configuration would run it.
    /// - Throws: `rule.*` where it does not load.
    public func warnings() throws(ShuntError) -> [ShuntError] {
        var limits = limits
        limits.callNanosecondsCap = limits.callNanoseconds
        limits.callMemoryCap = limits.callMemory
        return try RuleSet.warnings(of: plugin, limits: limits)
    }

    /// - Parameter isWanted: says by a test's name whether it is run.
    /// - Returns: the tests in the order of their names, each run in states of its own; empty where there is no rule_test.lua. A
    ///   rule_test.lua that does not load is a test that failed.
    /// - Parameter isLast: says by a test's result whether it is the last.
    public func run(where isWanted: (String) -> Bool = { _ in true }, stopping isLast: (RuleTestResult) -> Bool = { _ in false }) -> [RuleTestResult]
    {
        do throws(ShuntError) {
            guard plugin.test != nil else { return [] }
            var results: [RuleTestResult] = []
            let twice = repeated()
            for test in try session().tests where isWanted(test.name) {
                let start = ContinuousClock.now
                let failure = twice[test.key] ?? run(test)
                results.append(RuleTestResult(name: test.name, failure: failure, seconds: (ContinuousClock.now - start) / .seconds(1)))
                if results.last.map(isLast) ?? false { break }
            }
            return results
        } catch {
            return [RuleTestResult(name: "rule_test.lua", failure: error)]
        }
    }

    /// The errors of tests that share a name, by that name: Lua keeps only the last of them.
    private func repeated() -> [[UInt8]: ShuntError] {
        guard let test = plugin.test, let tree = try? LuaTree(LuaSource(test.text)) else { return [:] }
        func location(_ offset: Int) -> String {
            let place = tree.source.place(offset)
            return "\(plugin.directory)/\(test.path):\(place.line):\(place.column)"
        }
        return RepeatedKey.tests(in: tree).reduce(into: [:]) { errors, key in
            errors[key.name.bytes] = ShuntError(
                .ruleInvalid, "a second test has this name: only the last one would run", at: location(key.offset),
                help: "another name; the first: \(location(key.first))")
        }
    }

    private func run(_ test: NamedTest) -> ShuntError? {
        do throws(ShuntError) {
            return try session().run(test)
        } catch {
            return error
        }
    }

    private func session() throws(ShuntError) -> RuleTestSession {
        try RuleTestSession(plugin: plugin, limits: limits, nanoseconds: testNanoseconds, print: print)
    }
}

/// A test by its name.
private struct NamedTest {
    let key: [UInt8]
    /// For people: what is no UTF-8 in it is escaped.
    let name: String

    init(_ key: [UInt8]) {
        self.key = key
        name = PrintableText.text(of: key)
    }
}

/// One test: a state for the test file, and the rule's loop, made when the test first asks something of it.
private final class RuleTestSession: LuaHostOwner {
    let plugin: RulePlugin
    let limits: RuleLimits
    private let host: LuaHost
    private var loaded: OpaquePointer?
    /// By their names.
    private(set) var tests: [NamedTest] = []

    private let bench: RuleTestBench
    private let print: (String) -> Void

    init(plugin: RulePlugin, limits: RuleLimits, nanoseconds: UInt64, print: @escaping (String) -> Void) throws(ShuntError) {
        self.plugin = plugin
        self.limits = limits
        self.print = print
        var testLimits = limits
        // Tests may try a lot; they are still ended.
        testLimits.loadNanoseconds = nanoseconds
        testLimits.loadMemory = 64 << 20
        testLimits.logLinesPerSecond = 10_000
        host = try LuaHost(worker: "test", loop: 0, limits: testLimits, shared: try SharedStore(limits: limits), forTests: true)
        bench = RuleTestBench(plugin: plugin, limits: limits)
        host.owner = self
        try load()
    }

    deinit { shunt_rule_free(host.pointer, loaded) }

    private func load() throws(ShuntError) {
        guard let test = plugin.test else { return }
        var buffer = shunt_buffer()
        buffer.limit = 1 << 20
        defer { shunt_buffer_free(&buffer) }
        // The test file first; it may require the plugin's modules.
        loaded = plugin.withSources([test] + plugin.sources.dropFirst()) { sources in
            ruleTestPrelude.withCString { prelude in
                shunt_test_load(host.pointer, plugin.name, prelude, sources.baseAddress, sources.count, &buffer)
            }
        }
        guard loaded != nil else { throw plugin.error(of: host) }
        let value = LuaValue(encoded: Bytes(start: buffer.bytes, count: buffer.count))
        guard let keys = value?.list, !buffer.full else {
            throw ShuntError(.ruleInvalid, "the names of the tests are longer than \(buffer.limit) bytes", at: plugin.directory + "/" + test.path)
        }
        tests = keys.compactMap(\.bytes).map(NamedTest.init).sorted { $0.name < $1.name }
    }

    func run(_ test: NamedTest) -> ShuntError? {
        let hasPassed = test.key.withUnsafeBytes { shunt_test_run(host.pointer, loaded, shunt_bytes($0), bench.now) }
        return hasPassed ? nil : plugin.error(of: host)
    }

    func test(_ arguments: LuaValue) -> Result<LuaValue, ShuntError> {
        guard let call = arguments.list, let name = call.first?.string, call.count == 2 else {
            return .failure(ShuntError(.ruleInvalid, "t's functions take one table"))
        }
        do throws(ShuntError) {
            return .success(try bench.perform(name, call[1]))
        } catch {
            return .failure(error)
        }
    }

    func tells(rule: Int) -> Bool { false }
    func failed(rule: Int, hook: shunt_hook, code: ErrorCode, message: String?) {}
    func log(_ entry: RuleLogEntry) { print(entry.text) }
    func peer(_ id: ConnectionID) -> Peer? { nil }
    func close(_ id: ConnectionID, why: String, rule: Int) {}
    func inflate(
        _ packed: Bytes, _ compression: PayloadCompression, limit: Int, check: @escaping () throws(ShuntError) -> Void
    ) throws(ShuntError) -> [UInt8] { [] }
}
