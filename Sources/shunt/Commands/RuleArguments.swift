import ArgumentParser
import Glibc
import ShuntConfig
import ShuntCore
import ShuntRehearsal
import ShuntRules
import ShuntWorker

/// The rules that `shunt rule run` and `bench` are about, and their settings.
struct RuleArguments: ParsableArguments {
    @Argument(help: "Plugins, or folders of plugins; a plugin's rule.lua stands for it.", completion: .file())
    var paths: [String] = []

    @Option(
        help: ArgumentHelp(
            "The settings, YAML or JSON: the plugin's own where there is one plugin; where there are several, by the plugins' names.",
            valueName: "file"), completion: .file())
    var settings: String?

    @Option(
        help: ArgumentHelp(
            "A worker's configuration: its rules' settings and limits count, and without a folder the rules that it enables.",
            valueName: "file"), completion: .file())
    var config: String?

    func validate() throws {
        if settings != nil, config != nil { throw ValidationError("--settings and --config exclude each other.") }
        if paths.isEmpty, config == nil { throw ValidationError("Name a plugin's folder, or a worker's configuration by --config.") }
    }

    /// What the rules are loaded from.
    struct Loaded {
        let set: RuleSet
        let limits: RuleLimits
        var routing = RoutingLimits()
        var groups = GroupStrategies()

        func rehearsal(_ subscribers: [RehearsedSubscriber]?) throws(ShuntError) -> Rehearsal {
            try Rehearsal(set, limits: limits, routing: routing, strategies: groups, subscribers: subscribers, now: wallClock())
        }
    }

    /// - Parameter other: folders to load in place of the arguments', with the same settings.
    /// - Throws: `rule.*` and `config.*`; `io.failed` where a file cannot be read.
    func load(other: [String]? = nil) throws -> Loaded {
        let paths = other ?? paths
        for file in [settings, config].compactMap({ $0 }) where access(file, R_OK) != 0 { throw RuleMessageArguments.failure(file) }
        guard let config else {
            let plugins = try Self.plugins(paths, RuleLimits())
            let (settings, place) = try ownSettings(of: plugins)
            let set = try Self.placing(place) { () throws(ShuntError) in
                do throws(ShuntError) {
                    return try RuleSet(plugins: plugins, settings: settings, now: wallClock())
                } catch {
                    guard self.settings != nil else { throw error.withoutSettings }
                    throw plugins.count == 1 ? error.withoutName(of: plugins[0].name) : error
                }
            }
            return Loaded(set: set, limits: RuleLimits())
        }
        let configuration = try Configuration.load(
            file: config, environment: ProcessEnvironment.variables, sets: [], hostName: ProcessEnvironment.hostName)
        let limits = RuleLimits(configuration)
        let (routing, groups) = (RoutingLimits(configuration, loops: 1), configuration.worker.groups)
        let all = configuration.rules.settings.mapValues(SettingValue.init)
        let place: Place = { configuration.nearestPlace(of: $0, isName: $1) }
        guard paths.isEmpty else {
            let plugins = try Self.plugins(paths, limits)
            let settings = all.filter { name, _ in plugins.contains { $0.name == name } }
            return Loaded(
                set: try Self.placing(place) { () throws(ShuntError) in
                    try RuleSet(plugins: plugins, settings: settings, limits: limits, now: wallClock())
                }, limits: limits, routing: routing, groups: groups)
        }
        let enabled: RuleSet.Enabled =
            switch configuration.rules.enabled {
            case .all: .all
            case .named(let names): .names(names)
            }
        let set = try Self.placing(place) { () throws(ShuntError) in
            try RuleSet.load(
                directory: configuration.rules.directory, enabled: enabled, disabled: configuration.rules.disabled, settings: all,
                limits: limits, trials: RuleTrial.all(of: configuration.rules), now: wallClock())
        }
        guard !set.rules.isEmpty else {
            throw ShuntError(.usage, "the configuration enables no rules", at: config, help: "name a plugin's folder, or set rules.enabled")
        }
        return Loaded(set: set, limits: limits, routing: routing, groups: groups)
    }

    private static func plugins(_ paths: [String], _ limits: RuleLimits) throws(ShuntError) -> [RulePlugin] {
        var plugins: [RulePlugin] = []
        for directory in try RulePaths(paths).directories() { plugins.append(try RulePlugin(directory: directory, limits: limits)) }
        return plugins
    }

    /// Where a setting is given, by its key; of its name where that is asked.
    private typealias Place = (_ key: String, _ isName: Bool) -> String?

    private static func placing(_ place: Place, _ load: () throws(ShuntError) -> RuleSet) throws(ShuntError) -> RuleSet {
        do throws(ShuntError) { return try load() } catch { throw error.placed(place) }
    }

    private func ownSettings(of plugins: [RulePlugin]) throws -> ([String: SettingValue], Place) {
        guard let settings else { return ([:], { _, _ in nil }) }
        let file = try SettingsFile(settings)
        let value = SettingValue(file.value)
        func place(under root: String) -> Place { { file.nearestPlace(of: $0, under: root, isName: $1) } }
        guard case .object(let entries) = value else {
            throw ShuntError(.configType, "settings are names with values", at: settings, help: "as in from: 1000")
        }
        if plugins.count == 1 { return ([plugins[0].name: value], place(under: "rules.settings.\(plugins[0].name)")) }
        for name in entries.keys.sorted() where !plugins.contains(where: { $0.name == name }) {
            let near = Suggestion.closest(to: name, in: plugins.map(\.name)).map { "did you mean \($0)? " } ?? ""
            throw ShuntError(
                .configUnknownKey, "there is no plugin \(name)",
                at: file.nearestPlace(of: "rules.settings.\(name)", under: "rules.settings", isName: true) ?? settings,
                help: near + "the settings of several plugins stand by their names: \(plugins.map(\.name).joined(separator: ", "))")
        }
        return (entries, place(under: "rules.settings"))
    }
}

extension ShuntError {
    /// Tells that the settings of one plugin stand without its name, where that is what is wrong.
    fileprivate func withoutName(of plugin: String) -> ShuntError {
        let all = all.map { one in
            guard one.code == .configUnknownKey, one.location == "rules.settings.\(plugin).\(plugin)" else { return one }
            var one = one
            one.help = "the settings of one plugin stand without its name; they have one only where several plugins are named"
            return one
        }
        return ShuntError(all: all) ?? self
    }

    /// Tells how to give the settings that this is about, where none were given.
    fileprivate var withoutSettings: ShuntError {
        guard (location ?? message).hasPrefix("rules.settings.") else { return self }
        var error = self
        error.help = "give its settings by --settings FILE, or --config FILE" + (help.map { "; \($0)" } ?? "")
        return error
    }
}

/// The messages that `shunt rule run` and `bench` give to rules.
struct RuleMessageArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The topic, or the chat's id.", valueName: "topic"))
    var topic: String?

    @Option(help: ArgumentHelp("The payload, or the text of a broadcast.", valueName: "text"))
    var payload: String?

    @Option(help: ArgumentHelp("The payload is this file's, whatever bytes it has.", valueName: "file"), completion: .file())
    var payloadFile: String?

    @Option(help: "What the message is: topic, broadcast or chat.")
    var kind: Kind?

    @Option(help: ArgumentHelp("The key.", valueName: "text"))
    var key: String?

    @Option(help: ArgumentHelp("The QoS, 0 to 2.", valueName: "number"))
    var qos: Int?

    @Option(help: ArgumentHelp("The sender's uid.", valueName: "uid"))
    var uid: String?

    @Option(help: ArgumentHelp("The sender's tags, with commas between them.", valueName: "tag,…"))
    var tags: String?

    @Option(help: ArgumentHelp("The device filter of a broadcast, JSON: {\"match_tags\":[\"gold\"]}.", valueName: "json"))
    var filter: String?

    @Option(
        help: ArgumentHelp(
            "The message as a JSON object, with what t:message of a rule's tests takes; options go over it.", valueName: "file"),
        completion: .file())
    var json: String?

    @Option(help: ArgumentHelp("Many messages, such an object a line.", valueName: "file"), completion: .file())
    var messages: String?

    enum Kind: String, ExpressibleByArgument, CaseIterable { case topic, broadcast, chat }

    func validate() throws {
        if payload != nil, payloadFile != nil { throw ValidationError("--payload and --payload-file exclude each other.") }
        if messages != nil, isOne || json != nil {
            throw ValidationError("--messages and the options of one message exclude each other: each line of the file says all of its message.")
        }
        if let qos, !(0...2).contains(qos) { throw ValidationError("--qos is 0, 1 or 2.") }
    }

    /// Whether an option says something of one message.
    var isOne: Bool {
        [topic, payload, payloadFile, key, uid, tags, filter].contains { $0 != nil } || kind != nil || qos != nil
    }

    /// The messages; empty where nothing says one.
    func all() throws(ShuntError) -> [RehearsedMessage] {
        if let messages { return try MessageDescription.messages(try Self.read(messages), at: messages) }
        guard isOne || json != nil else { return [] }
        return [try one()]
    }

    private func one() throws(ShuntError) -> RehearsedMessage {
        var members: [JSONTree.Member] = []
        if let json {
            guard case .object(let given) = try JSONTree(parsing: try Self.read(json), at: json) else {
                throw ShuntError(.usage, "a message is a JSON object", at: json, help: #"as in {"topic":"orders/1","payload":{"id":1}}"#)
            }
            members = given
        }
        func set(_ name: String, _ value: JSONTree?) {
            guard let value else { return }
            members.removeAll { $0.name == name }
            members.append(.init(name: name, value: value))
        }
        set("kind", kind.map { .string($0.rawValue) })
        set("topic", topic.map(JSONTree.string))
        set("key", key.map(JSONTree.string))
        set("qos", qos.map { .number("\($0)") })
        if let filter { set("filter", try JSONTree(parsing: Array(filter.utf8), at: "--filter")) }
        if uid != nil || tags != nil { set("sender", sender(of: members)) }
        let bytes = try payloadFile.map { path throws(ShuntError) in try Self.read(path) } ?? payload.map { Array($0.utf8) }
        return try MessageDescription.message(.object(members), payload: bytes, at: json ?? "the message")
    }

    private func sender(of members: [JSONTree.Member]) -> JSONTree {
        var sender: [JSONTree.Member] = []
        if case .object(let given)? = members.last(where: { $0.name == "sender" })?.value { sender = given }
        sender.removeAll { $0.name == "uid" && uid != nil || $0.name == "tags" && tags != nil }
        if let uid { sender.append(.init(name: "uid", value: .string(uid))) }
        if let tags {
            sender.append(.init(name: "tags", value: .array(tags.split(separator: ",").map { .string(String($0)) })))
        }
        return .object(sender)
    }

    /// A file's bytes; `-` is standard input.
    static func read(_ path: String) throws(ShuntError) -> [UInt8] {
        let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path) }
        defer { if descriptor != STDIN_FILENO { close(descriptor) } }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while bytes.count <= MessageDescription.mostBytes {
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
        throw ShuntError(.usage, "the file is too large", at: path, help: "at most \(MessageDescription.mostBytes >> 20) MiB")
    }

    static func failure(_ path: String) -> ShuntError {
        ShuntError(.ioFailed, "the file cannot be read: \(String(cString: strerror(errno)).lowercased())", at: path)
    }
}

/// How the reports of `shunt rule` are written.
enum RuleReportOutput: String, ExpressibleByArgument, CaseIterable {
    case table, json

    /// Coloured on terminals that can, by no-color.org's convention.
    static var style: ReportStyle {
        let environment = ProcessEnvironment.variables
        return ReportStyle(
            colors: isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb")
    }
}

/// Ends a command with what it could not do.
func failure(_ error: any Error) -> any Error {
    switch error {
    case let error as ShuntError: fail([error])
    case let errors as ConfigurationErrors: fail(errors.errors)
    default: error
    }
}
