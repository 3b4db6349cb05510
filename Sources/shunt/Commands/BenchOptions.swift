import ArgumentParser
import MQTTCodec
import ShuntBench
import ShuntClient
import ShuntCore

/// The options that all loads have.
struct BenchOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The broker; port 1883 if none is given, 8883 with --tls.", valueName: "host:port"))
    var host = "127.0.0.1"

    @Flag(name: .customLong("v311"), help: "Speak MQTT 3.1.1 in place of 5.0.")
    var isOld = false

    @Option(parsing: .unconditional, help: ArgumentHelp("The keep alive of all clients; 0: none.", valueName: "seconds"))
    var keepAlive = 60

    @Option(parsing: .unconditional, help: ArgumentHelp("How long the broker may take to answer a connection.", valueName: "seconds"))
    var patience = 10.0

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Threads of the load (default: 1, or 2 where there are 4 processors or more).", valueName: "n"))
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Local addresses that connections come from in turn, with commas between, where one has too few ports.",
            valueName: "addresses"))
    var source: String?

    @Option(help: "What topics begin with (default: shunt-bench/ and the seed).")
    var prefix: String?

    @Option(parsing: .unconditional, help: "Client identifiers and payloads follow from it (default: another each time).")
    var seed: UInt32?

    @Flag(help: "The result as JSON.")
    var json = false

    @Option(help: ArgumentHelp("Show an earlier result, as --json wrote it, beside this one.", valueName: "file"), completion: .file())
    var compare: String?

    @Flag(help: "No progress line.")
    var quiet = false

    @OptionGroup(title: "TLS and credentials, the same for all clients") var access: AccessArguments

    func validate() throws {
        if !(0...65_535).contains(keepAlive) { throw ValidationError("--keep-alive is \(keepAlive): give 0 to 65535 seconds.") }
        if !(0.001...3600).contains(patience) { throw ValidationError("--patience is \(patience): give 0.001 to 3600 seconds.") }
        if let threads, !(1...64).contains(threads) { throw ValidationError("--threads is \(threads): give 1 to 64.") }
        if let prefix {
            let isTopic = Array(prefix.utf8).withUnsafeBytes { TopicFilter.isTopic($0) }
            guard !prefix.isEmpty, prefix.utf8.count <= 1000, isTopic, !prefix.hasPrefix("$"), !prefix.hasSuffix("/") else {
                throw ValidationError("--prefix '\(prefix)' can't begin a topic: no wildcards, no '$' before, no '/' behind, 1 to 1000 bytes.")
            }
        }
    }

    func settings(_ work: LoadSettings.Work, connectRate: Double) throws(ShuntError) -> LoadSettings {
        guard let broker = HostPort(host, defaultPort: access.tls ? 8883 : 1883) else {
            throw ShuntError(.usage, "'\(host)' is no address", at: "--host", help: "host:port, as in 127.0.0.1:1883")
        }
        let access = try access.settings(nil, for: [broker])
        let seed = seed ?? UInt32.random(in: 0...UInt32.max)
        var settings = LoadSettings(work, broker: broker, prefix: prefix ?? "shunt-bench/\(String(seed, radix: 16))", seed: seed)
        settings.version = isOld ? .v3_1_1 : .v5
        let credentials = try access.credentials()
        (settings.userName, settings.password) = (credentials.user, credentials.password)
        settings.tls = try access.client().map { client in
            LoadTLS { () throws(ShuntError) in
                try client.connection(to: broker, protocols: ["mqtt"])
            } failure: {
                TLSClient.failure(of: $0, to: broker)
            }
        }
        settings.keepAlive = UInt16(keepAlive)
        settings.connectRate = connectRate
        settings.patience = patience
        settings.threads = min(threads ?? LoadSettings.defaultThreads, settings.connections)
        settings.sources = source.map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) } ?? []
        return settings
    }

    func earlier() async throws(ShuntError) -> BenchReport? {
        guard let compare else { return nil }
        var bytes: [UInt8] = []
        do throws(ShuntError) {
            bytes = try await MessageInput.read(file: compare, limit: 1 << 20)
        } catch {
            // An empty file is no report, as any other text.
            if error.code == .ioFailed { throw error }
        }
        return try BenchReport(json: bytes, name: compare)
    }
}

/// Rates as `shunt bench` takes them.
enum RateOption {
    /// - Returns: nil for `max` and 0: no limit.
    static func parse(_ text: String, _ option: String) throws -> Double? {
        if text == "max" { return nil }
        let number = Quantity.parse(text).map(Double.init) ?? Double(text)
        guard let number, number.isFinite, number == 0 || (0.001...100_000_000).contains(number) else {
            throw ValidationError("\(option) '\(text)' is no rate: give a number a second, as in 500, 10K, 0.5, or max.")
        }
        return number == 0 ? nil : number
    }

    /// 1, 1K, 1.5M.
    static func count(_ text: String, _ what: String, most: Int) throws -> Int {
        guard let count = Quantity.parse(text), (1...most).contains(count) else {
            throw ValidationError("\(what) '\(text)' is no number of 1 to \(Quantity.text(most)): give one as in 500, 10K.")
        }
        return count
    }
}
